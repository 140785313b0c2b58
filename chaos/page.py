"""The page "How it behaves when…", from a run's results: `python -m chaos.page chaos-results/chaos.json`.

Rule: the page is made from `docs/explanation/chaos.json` and nothing else, so that a test can tell that they belong together.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from chaos.clients import FRESH, OURS, TUNED
from chaos.clients.peers import TUNED_SUFFIX
from chaos.headline import README, into
from chaos.result import Result
from chaos.stage import PAUSE
from chaos.summary import DRAWN, summary

__all__ = ["FOLDER", "PAGE", "SUMMARY", "main", "picture", "render"]

FOLDER = Path(__file__).parents[1] / "docs" / "explanation"
PAGE, SUMMARY = FOLDER / "how-it-behaves-when.md", FOLDER / "chaos.json"

_ENGINES = {
    "galera": "On Galera: three MariaDB nodes, each takes writes",
    "postgres": "On PostgreSQL: a primary and two standbys",
}
_CLOSE = 1.5 * PAUSE
"""Seconds of difference that say nothing: so long may the load pause between an error and the next try."""

_HEAD = """# How it behaves when…

What users of a cluster notice of each fault, measured on real servers by `make chaos`: first of our own ways, then of what
one would use instead, each as its documentation says, with the same load on the same servers, one after another.

- *reads*, *writes*: the longest that one task waited for its next success, in seconds, from the beginning of its first unit
  without one; `>` when it had none until the end. The cluster's own *stall* is in it, the longest wait of direct clients on a
  node that nothing befell: on Galera every writer waits while a dead node is voted out. On PostgreSQL it is the longest write
  that hung on the primary.
- *no reads*, *no writes*: all times of more than 0.1 s in which nobody's succeeded, together.
- *noticed*: how soon our monitor, or a failing login, took the first node for unwell.
- *errors*: what users saw; *unknown*: those of them which said, or had to be taken to say, that nobody knows whether it was done.
- *lost*: appends that were acknowledged and are not there; *wrong*: all that are not there exactly once, or there in spite of an
  error that said otherwise.
- *cut off*: sessions and logins that the servers count as aborted by their client (PostgreSQL counts none).
- *left*: sockets, tasks and sessions on the servers after `close`.
"""
_WHY = """
A figure of ours that is worse than the best of the others is marked: by `~` if it is by up to {close:.2f} s, for so long may a
task of this load pause before it asks again after an error, so that less says nothing; by `*` if it is by more. On Galera, what
the cluster itself stalled in the same run, for writes and for reads, is first taken off. Like is compared with like:

- `aioclustersql connect`, which logs in for each unit, with the others that do; a pool's users share the first connection that
  is open again.
- Where single requests stall, nothing fails, and how long to wait is a matter of choice. `aioclustersql acquire, tuned`, which
  would rather have an error after a second, is compared with all, and ours with its defaults, which waits, with the others'
  defaults. Each client's requests meet the same stalls, by their order of arrival at a node.
- Where one of two standbys is hurt, each is in turn, and the worse is shown: who reads from one node only notices nothing when
  it is the other that is hurt.
- Where a server's connections are exhausted, the strangers go on until the clients have none left, so that nobody is spared by
  having had more of them.

Now and then all of Galera answers nobody for a moment while a node rejoins (1047): that is in the stalls.
"""


def render(data: Mapping[str, Any]) -> str:
    """The page, from the summary."""
    parts = [_HEAD, _WHY.lstrip().format(close=_CLOSE), _measured(data["about"])]
    for engine, scenes in data["engines"].items():
        parts.append(f"## {_ENGINES[engine]}\n")
        for scene, told in scenes.items():
            clients = told["clients"]
            stall = _stalled(engine, clients.values())
            parts.append(f"### {scene}\n")
            parts.append(f"{told['what']}. The cluster's own stall: {stall}.\n")
            parts.append("".join(f"{line}\n" for line in _table(engine, clients)))
            if scene in DRAWN[engine]:
                parts.append(f"![Writes of each library over time: {scene}]({picture(engine, scene)})\n")
    return "\n".join(parts)


def picture(engine: str, scene: str) -> str:
    """The name of a scene's picture."""
    return f"chaos-{engine}-{re.sub('[^a-z]+', '-', scene)}.svg"


def _measured(about: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    hole = "a cable that is pulled, in a network of namespaces" if about["cables"] else "a proxy that swallows everything"
    with_what = f"with Python {about['python']} on {about['cores']} cores, servers and clients together; {packages}"
    return f"Measured {with_what}. A black hole is {hole}.\n"


def _table(engine: str, clients: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    head = (
        "client",
        "reads",
        "writes",
        "no reads",
        "no writes",
        "noticed",
        "errors",
        "unknown",
        "lost",
        "wrong",
        "cut off",
        "left",
    )
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for name, row in clients.items():
        others = _others(name, clients)
        cells = [
            name,
            *(f"{_wait(row[kind])}{_mark(_own(engine, row, kind), _best(engine, others, kind))}" for kind in ("reads", "writes")),
            *(f"{row[kind]['total']:.2f}" for kind in ("reads", "writes")),
            "" if row["noticed"] is None else f"{row['noticed']:.2f}",
            ", ".join(f"{count} {error}" for error, count in row["errors"].items()) or "none",
            str(row["unknown"]),
            str(row["lost"]) + (" (by the database)" if row["lost_by_database"] else ""),
            str(row["misplaced"]),
            str(row["aborted"]),
            "`close` hung" if row["closing"] else str(row["left"]),
        ]
        yield f"| {' | '.join(cells)} |"


def _stalled(engine: str, rows: Collection[Mapping[str, Any]]) -> str:
    """The worst of all runs, in words."""
    writes, reads = (max(row[kind] for row in rows) for kind in ("stall", "read_stall"))
    return f"{writes:.2f} s for writes, {reads:.2f} s for reads" if engine == "galera" else f"{writes:.2f} s"


def _others(name: str, clients: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows that a client of ours is compared with; none for a client that is not ours.

    Who logs in for each unit is compared with those who do, too. Where a client of ours has time-outs set, all others are there
    for it, and for ours without only those without.
    """
    if name not in OURS:
        return []
    waits = name not in TUNED and not TUNED.isdisjoint(clients)
    return [
        row
        for other, row in clients.items()
        if other not in OURS and (other in FRESH or name not in FRESH) and not (waits and other.endswith(TUNED_SUFFIX))
    ]


def _best(engine: str, others: Collection[Mapping[str, Any]], kind: str) -> float | None:
    return min((_own(engine, row, kind) for row in others if not row[kind]["open"]), default=None)


def _own(engine: str, row: Mapping[str, Any], kind: str) -> float:
    """The longest wait, without what the cluster itself stalled in that very run: that differs from run to run."""
    longest: float = row[kind]["longest"]
    stall: float = row["stall" if kind == "writes" else "read_stall"]
    return max(0.0, longest - stall) if engine == "galera" else longest


def _wait(waiting: Mapping[str, Any]) -> str:
    return f"{'> ' if waiting['open'] else ''}{waiting['longest']:.2f}"


def _mark(own: float, best: float | None) -> str:
    if best is None or round(own, 2) <= round(best, 2):
        return ""
    return " *" if own > best + _CLOSE else " ~"


def _lines(data: Mapping[str, Any]) -> str:
    """JSON with a line for each scene, so that a change can be read."""
    engines = (
        f"{json.dumps(engine)}: {{\n"
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(told)}" for name, told in scenes.items())
        + "}"
        for engine, scenes in data["engines"].items()
    )
    return f'{{"about": {json.dumps(data["about"])},\n"engines": {{\n' + ",\n".join(engines) + "}}\n"


def main(arguments: list[str] | None = None) -> None:
    """Write the summary, the page, the README's table and the pictures; without results, from the last summary."""
    parser = argparse.ArgumentParser(prog="python -m chaos.page", description=__doc__)
    parser.add_argument("results", nargs="*", type=Path, help="what `python -m chaos` has written")
    paths = parser.parse_args(arguments).results
    if paths:
        runs = [json.loads(path.read_text()) for path in paths]
        results = [Result.from_dict(each) for run in runs for each in run["results"]]
        SUMMARY.write_text(_lines(summary(runs[0]["about"], results)))
    data = json.loads(SUMMARY.read_text())
    PAGE.write_text(render(data))
    README.write_text(into(README.read_text(), data))
    from chaos.pictures import draw

    for engine, scenes in DRAWN.items():
        for scene in scenes:
            if told := data["engines"].get(engine, {}).get(scene):
                draw(scene, told["clients"], FOLDER / picture(engine, scene))


if __name__ == "__main__":
    main()
