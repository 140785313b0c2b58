"""What every benchmark prints and writes in the same form: facts, tables, and the project's targets beside what was measured."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

__all__ = ["Target", "at_least", "at_most", "cells", "facts", "table", "targets_table", "write"]

_TEXTS = frozenset({"driver", "way", "pool", "what", "wanted", ""})


@dataclass(frozen=True)
class Target:
    """What the project promises, and what was measured. Printed, never asserted: a busy machine is no defect."""

    driver: str
    what: str
    wanted: str
    measured: str
    met: bool

    @property
    def verdict(self) -> str:
        """In words."""
        return "met" if self.met else "NOT MET"


def at_most(driver: str, what: str, measured: float, limit: float) -> Target:
    """Met while `measured` is not above the limit."""
    exact = f"{measured}" if isinstance(measured, int) else f"{measured:.3f}"
    return Target(driver, what, f"≤ {limit:g}", exact, met=measured <= limit)


def at_least(driver: str, what: str, measured: float, limit: float) -> Target:
    """Met while `measured` is not below the limit."""
    return Target(driver, what, f"≥ {limit:g}", f"{measured:.3f}", met=measured >= limit)


def facts(packages: Iterable[str], behind: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Any]:
    """Where and with what it was measured; `behind` is what stands behind each driver's nodes."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "packages": {package: version(package) for package in packages},
        "behind": {driver: list(servers) for driver, servers in behind.items()},
        "rounds": rounds,
    }


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row as text."""
    return [f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()]


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """For the terminal; a line is drawn where the first column changes."""
    made = Table(title=title, title_justify="left")
    for name in head:
        made.add_column(name, justify="left" if name in _TEXTS else "right")
    last = ""
    for row in rows:
        if last and row[0] != last:
            made.add_section()
        last = row[0]
        made.add_row(*row)
    return made


def targets_table(targets: Iterable[Target]) -> Table:
    """Targets and verdicts."""
    rows = [(each.driver, each.what, each.wanted, each.measured, each.verdict) for each in targets]
    return table("Targets", ("driver", "what", "wanted", "measured", ""), rows)


def write(
    folder: Path, name: str, title: str, tables: Iterable[Table], about: Mapping[str, Any], data: Mapping[str, Any]
) -> list[Path]:
    """`NAME.md` with the facts `about` it and the tables, and `NAME.json` with the facts and the data; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown, document = folder / f"{name}.md", folder / f"{name}.json"
    parts = [f"# {title}\n", "```json\n" + json.dumps(about, indent=2) + "\n```\n"]
    for each in tables:
        columns = [[str(cell) for cell in column.cells] for column in each.columns]
        lines = [[str(column.header) for column in each.columns], ["---"] * len(columns), *zip(*columns, strict=True)]
        parts.append(f"## {each.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines))
    markdown.write_text("\n".join(parts))
    document.write_text(json.dumps({"facts": about, **data}, indent=2) + "\n")
    return [markdown, document]
