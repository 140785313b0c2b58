"""The lock has every package that developing takes, as pyproject.toml allows it, and with hashes; `make lock` renews it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements" / "development.txt").read_text()
PINNED = {Requirement(entry.partition("\\")[0]) for entry in re.findall(r"^[a-z].*", LOCK, re.MULTILINE)}


def wanted() -> list[Requirement]:
    """The requirements of the core, of every extra and of every group, other than those that name the package's own."""
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    lists = [project["dependencies"], *project["optional-dependencies"].values(), *groups.values()]
    found = (Requirement(each) for names in lists for each in names if isinstance(each, str))
    return sorted({each for each in found if each.name != project["name"]}, key=str)


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_the_lock_satisfies(requirement: Requirement) -> None:
    pins = [pin for pin in PINNED if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
    versions = [each.version for pin in pins for each in pin.specifier]
    assert versions, "run: make lock"
    assert [version for version in versions if not requirement.specifier.contains(version)] == [], "run: make lock"


def test_every_pin_has_a_hash() -> None:
    entries = re.findall(r"^[a-z].*(?:\n +.*)*", LOCK, re.MULTILINE)
    assert len(entries) == len(PINNED)
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_lock_names_no_registry_and_no_path() -> None:
    assert re.findall(r"://|^--|^-e|\.whl", LOCK, re.MULTILINE) == []
