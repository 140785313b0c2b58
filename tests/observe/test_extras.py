"""Without an optional dependency the rest works, and what needs it says which extra to install."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "needs", "extra"),
    [
        ("aioclustersql.observe.prometheus", "prometheus_client.core", "prometheus"),
        ("aioclustersql.observe.otel", "opentelemetry", "otel"),
    ],
)
def test_a_missing_dependency_names_its_extra(module: str, needs: str, extra: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, needs, None)
    with pytest.raises(ImportError, match=rf"pip install 'aioclustersql\[{extra}\]'"):
        importlib.import_module(module)
    monkeypatch.delitem(sys.modules, module, raising=False)


def test_the_snapshots_need_no_extra(monkeypatch: pytest.MonkeyPatch):
    for needs in ("prometheus_client", "opentelemetry"):
        monkeypatch.setitem(sys.modules, needs, None)
    for name in [name for name in sys.modules if name.startswith("aioclustersql.observe")]:
        monkeypatch.delitem(sys.modules, name)
    assert importlib.import_module("aioclustersql.observe").debug_vars([]) == {"aioclustersql": {}}
