"""`python -m chaos`: every scene for every client on the same servers; a table, a file, and a verdict on our own clients."""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from chaos.client import Client
from chaos.clients import OURS, TUNED, clients
from chaos.engine import ENGINES, Engine
from chaos.report import about, table, verdict
from chaos.result import Result
from chaos.scenes import SCENES, Scene, scenes
from chaos.servers import NODES, servers_for
from chaos.stage import play
from chaos.tell import tell
from chaos.wire import Wire, wired

__all__ = ["main"]

_OUT = Path("chaos-results")
_WIDTH = 180
"""Columns of the table where no terminal says how many it has."""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 when one of our own clients broke a promise, or the stand itself could not play a scene."""
    chosen = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False, soft_wrap=not sys.stdout.isatty())
    logging.getLogger("aioclustersql").setLevel(logging.CRITICAL)  # what it says of the faults is in the table
    results: list[Result] = []
    failed = 0
    with wired(NODES) as wire:
        where = {**about(), "cables": wire is not None}
        for engine, played in _chosen(chosen.engine or ENGINES, tuple(chosen.scene)):
            for result in _run(engine, played, chosen, console, wire):
                if result is None:
                    failed += 1
                else:
                    results.append(result)
                    _write(chosen.json or _OUT / "chaos.json", where, results)  # hours of work survive what comes next
            console.print(table(engine, [result for result in results if result.engine == engine]))
    console.print(*verdict(results), sep="\n", markup=False)
    return 1 if failed or any(result.complaints for result in results) else 0


def _chosen(engines: Sequence[str], words: tuple[str, ...]) -> list[tuple[str, tuple[Scene, ...]]]:
    """Each engine's scenes with one of these words, where it has any. Raises `LookupError` when none has."""
    having = [engine for engine in engines if any(word in scene.name for scene in SCENES[engine] for word in words or ("",))]
    return [(engine, scenes(engine, words)) for engine in having or engines]


def _run(
    engine: str, played: tuple[Scene, ...], chosen: argparse.Namespace, console: Console, wire: Wire | None
) -> Iterator[Result | None]:
    """All rounds of all scenes; in each play, one client after another on the same servers. None: one could not be played."""
    known = clients(engine)
    names = [name for name in known if not chosen.client or any(word in name for word in chosen.client)]
    if chosen.ours:
        names = [name for name in names if name in OURS]
    for slow in (False, True):
        lot = [scene for scene in played if scene.slow_evs is slow]
        if not lot:
            continue
        with servers_for(engine, slow_evs=slow) as face:
            for number, scene in itertools.product(range(1, chosen.rounds + 1), lot):
                for turn, name in itertools.product(scene.plays, names):
                    if name in TUNED and not scene.nothing_fails:
                        continue
                    result, mark = _play(face, turn, known[name], number, wire)
                    first = face.nodes[turn.acts[0].on].name
                    console.print(f"{engine}, {scene.name} ({first}), {name}: {mark}", markup=False)
                    yield result


def _play(face: Engine, scene: Scene, make: Callable[[], Client], number: int, wire: Wire | None) -> tuple[Result | None, str]:
    """One client in one scene, and how to say it."""
    try:
        client = make()
        (result,) = tell(play(face, scene, [client], wire=wire, number=number), [client], number)
    except Exception as error:  # noqa: BLE001 - the next scene begins with whole servers
        return None, f"COULD NOT BE PLAYED: {error!r}"
    return result, "; ".join(result.complaints) or "ok"


def _write(path: Path, where: Mapping[str, Any], results: list[Result]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"about": where, "results": [each.as_dict() for each in results]}, indent=1) + "\n")


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
