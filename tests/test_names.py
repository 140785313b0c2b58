"""What users import is there, and costs nothing before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import aioclustersql


@pytest.mark.parametrize("name", aioclustersql.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(aioclustersql, name) is not None
    assert name in dir(aioclustersql)


def test_a_room_is_there_as_an_attribute() -> None:
    assert aioclustersql.errors.ConfigError is aioclustersql.ConfigError


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'aioclustersql' has no attribute 'Clusters'"):
        aioclustersql.Clusters  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_no_room() -> None:
    code = "import sys, aioclustersql; print([name for name in sys.modules if name.startswith('aioclustersql.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
