"""The table of the README: the freeze of a node, for `run` and for the others, from the same summary as the page.

Each library is there once: with time-outs set for this where it has any (`, tuned`), else as it comes.
Rule: only the lines between `<!-- chaos -->` and `<!-- end -->` are made here; what was not measured has no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chaos.clients import OURS
from chaos.clients.peers import TUNED_SUFFIX

__all__ = ["README", "into"]

README = Path(__file__).parents[1] / "README.md"

_OURS = "aioclustersql run"
_SCENES = {
    "postgres": ("primary frozen, a standby promoted, thawed", "PostgreSQL: the primary freezes, a standby is promoted"),
    "galera": ("frozen", "Galera: a node freezes"),
}
_START, _END = "<!-- chaos -->\n", "<!-- end -->"


def into(readme: str, data: Mapping[str, Any]) -> str:
    """`readme` with the table as it should be now. Raises `ValueError` when it has no place for it."""
    head, start, rest = readme.partition(_START)
    _, end, tail = rest.partition(_END)
    if not end:
        raise ValueError("the README has no part <!-- chaos --> ... <!-- end -->")
    table = "".join(f"{line}\n" for line in _table(data["engines"]))
    return f"{head}{start}{table}{end}{tail}"


def _table(engines: Mapping[str, Any]) -> Iterator[str]:
    yield "| fault | client | longest wait to read, s | to write, s | errors | acknowledged and lost |"
    yield "|---|---|---|---|---|---|"
    for engine, (scene, fault) in _SCENES.items():
        clients = engines.get(engine, {}).get(scene, {}).get("clients", {})
        for name, row in clients.items():
            if name == _OURS or (name not in OURS and f"{name}{TUNED_SUFFIX}" not in clients):
                waits = f"{_wait(row['reads'])} | {_wait(row['writes'])}"
                yield f"| {fault} | {name} | {waits} | {sum(row['errors'].values())} | {row['lost']} |"


def _wait(waiting: Mapping[str, Any]) -> str:
    return f"{'> ' if waiting['open'] else ''}{waiting['longest']:.2f}"
