"""A package that is not installed is an error that names the extra."""

from __future__ import annotations

import sys

import pytest


def test_sqlalchemy_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.partition(".")[0] == "sqlalchemy" or name.startswith("aioclustersql.sqlalchemy")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'aioclustersql\[sqlalchemy\]'"):
        import aioclustersql.sqlalchemy  # noqa: F401
