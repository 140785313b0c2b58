"""`python -m chaos`: every scene for every client on the same servers; a table, a file, and a verdict on our own clients."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from chaos.clients import OURS, clients
from chaos.engine import ENGINES
from chaos.report import about, table, verdict
from chaos.result import Result
from chaos.scenes import Scene, scenes
from chaos.servers import servers_for
from chaos.stage import play
from chaos.tell import tell

__all__ = ["main"]

_OUT = Path("chaos-results")
_WIDTH = 180
"""Columns of the table where no terminal says how many it has."""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 when one of our own clients broke a promise."""
    chosen = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False, soft_wrap=not sys.stdout.isatty())
    logging.getLogger("aioclustersql").setLevel(logging.CRITICAL)  # what it says of the faults is in the table
    results: list[Result] = []
    for engine in chosen.engine or ENGINES:
        found = list(_run(engine, scenes(engine, tuple(chosen.scene)), chosen, console))
        results += found
        console.print(table(engine, found))
    _write(chosen.json or _OUT / "chaos.json", results)
    console.print(*verdict(results), sep="\n", markup=False)
    return 1 if any(result.complaints for result in results) else 0


def _run(engine: str, played: tuple[Scene, ...], chosen: argparse.Namespace, console: Console) -> Iterator[Result]:
    """All rounds of all scenes; in each, one client after another on the same servers."""
    known = clients(engine)
    names = [name for name in known if not chosen.client or any(word in name for word in chosen.client)]
    if not chosen.client and chosen.ours:
        names = [name for name in names if name in OURS]
    for slow in (False, True):
        lot = [scene for scene in played if scene.slow_evs is slow]
        if not lot:
            continue
        with servers_for(engine, slow_evs=slow) as face:
            for number in range(1, chosen.rounds + 1):
                for scene in lot:
                    for name in names:
                        client = known[name]()
                        (result,) = tell(play(face, scene, [client]), [client], number)
                        mark = "; ".join(result.complaints) or "ok"
                        console.print(f"{engine}, {scene.name}, {name}: {mark}", markup=False)
                        yield result


def _write(path: Path, results: list[Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"about": about(), "results": [each.as_dict() for each in results]}, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m chaos", description="What clients notice of faults, on real clusters.")
    made.add_argument("--engine", action="append", choices=ENGINES, help="only this one (may be repeated)")
    made.add_argument("--scene", action="append", default=[], help="only scenes whose name contains this (may be repeated)")
    made.add_argument("--client", action="append", default=[], help="only clients whose name contains this (may be repeated)")
    made.add_argument("--ours", action="store_true", help="only our own clients")
    made.add_argument("--rounds", type=int, default=1, help="so often everything (default: 1)")
    made.add_argument("--json", type=Path, help="where the results are written (default: chaos-results/chaos.json)")
    return made


if __name__ == "__main__":
    sys.exit(main())
