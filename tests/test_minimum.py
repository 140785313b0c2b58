"""The oldest versions that are promised are those that `make test-minimum` installs."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from scripts.minimum import constraints

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def test_a_lower_bound_becomes_a_pin_without_extras_and_markers() -> None:
    project = {
        "dependencies": ["anyio>=4.4"],
        "optional-dependencies": {"b": ["b[x,y] >= 1.0; sys_platform == 'linux'", "anyio>=4.4"], "all": ["me[b]"]},
    }
    assert constraints(project) == ["anyio==4.4", "b==1.0"]


def test_every_dependency_of_the_package_is_pinned() -> None:
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    names = {Requirement(each).name for names in lists for each in names} - {PROJECT["name"]}
    pins = constraints(PROJECT)
    assert {pin.partition("==")[0] for pin in pins} == names
    assert len(pins) == len(names), "two extras differ in what they promise"
