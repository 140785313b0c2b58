"""Print pip constraints that pin every dependency of the package and its extras to the oldest version that it allows.

`make test-minimum` installs by them: what pyproject.toml promises is tested.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

__all__ = ["constraints"]


def constraints(project: dict[str, Any]) -> list[str]:
    """`name==version` for each `name>=version` of a project table, extras and markers left out. Sorted."""
    given = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    found = (re.fullmatch(r"([\w-]+)(?:\[[\w,-]+\])?>=([\w.]+)(?:;.*)?", each.replace(" ", "")) for each in given)
    return sorted({f"{match[1]}=={match[2]}" for match in found if match is not None})


if __name__ == "__main__":
    print("\n".join(constraints(tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"])))
