"""A run's results as a table for the terminal, and its verdict in words."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rich.table import Table

from chaos.clients import OURS
from chaos.result import Result, Waiting

__all__ = ["about", "seconds", "table", "verdict"]

_PACKAGES = ("aiomysql", "asyncpg", "hasql", "mysql-connector-python", "psycopg", "psycopg-pool", "sqlalchemy")
_HEAD = ("scene", "client", "reads", "writes", "no write for", "stall", "errors", "unknown", "lost", "noticed", "")


def table(engine: str, results: Iterable[Result]) -> Table:
    """One line per scene, client and round."""
    made = Table(title=f"{engine}: the longest that one task waited for a success, in seconds", title_justify="left")
    for name in _HEAD:
        made.add_column(name, justify="left" if name in {"scene", "client", "errors", ""} else "right")
    last = ""
    for each in sorted(results, key=lambda result: (_order(results, result), result.round)):
        if last and last != each.scene:
            made.add_section()
        made.add_row("" if each.scene == last else each.scene, *_cells(each))
        last = each.scene
    return made


def _order(results: Iterable[Result], result: Result) -> int:
    return [each.scene for each in results].index(result.scene)


def _cells(each: Result) -> Sequence[str]:
    errors = ", ".join(f"{count} {name}" for name, count in each.errors.items())
    mark = ("kept" if not each.complaints else "BROKEN") if each.client in OURS else ""
    return [
        each.client,
        seconds(each.reads),
        seconds(each.writes),
        f"{each.writes.gap:.2f}",
        f"{each.stall:.2f}",
        errors,
        str(each.unknown),
        str(each.lost),
        "" if each.detected is None else f"{each.detected:.2f}",
        mark,
    ]


def seconds(waiting: Waiting) -> str:
    """The longest wait; with a sign where it never ended."""
    return f"{'> ' if waiting.open else ''}{waiting.longest:.2f}"


def verdict(results: Iterable[Result]) -> list[str]:
    """What our own clients broke, one line each, with what there is to see of it."""
    lines = []
    for each in results:
        lines += [f"BROKEN: {each.engine}, {each.scene}, {each.client}: {complaint}" for complaint in each.complaints]
        if each.complaints:
            lines += [f"    {detail}" for detail in (*each.misplaced, *each.unexplained, *each.left.reported)]
    return lines or ["All promises kept."]


def about() -> dict[str, Any]:
    """Where and with what it was measured."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "cores": os.cpu_count(), "packages": found}
