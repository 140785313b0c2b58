"""`python -m chaos.soak --minutes 30`: random faults, one after another, on both engines by turns, for our own ways side by side.

Rule: a chapter is told by the seed and its number alone, so `--seed S --chapter N` plays it again; after each chapter nothing may
be lost, doubled, unexplained or left over, and in the end memory and descriptors have to be where they were after the first ones.
"""

from __future__ import annotations

import argparse
import gc
import logging
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from chaos.clients import OURS, TUNED, clients
from chaos.engine import ENGINES, Engine
from chaos.scenes import SCENES, Scene, in_turn
from chaos.servers import NODES, servers_for
from chaos.stage import play
from chaos.tell import tell
from chaos.wire import Wire, wired

__all__ = ["Footprint", "chapter", "grown", "main"]

_FAULTS = 8
"""In a chapter."""
_TASKS = 4
_WARM_UP = 2
"""Chapters of each engine before memory is compared: caches fill, and the allocator finds its size."""
_GROWTH = 1.1
_SLACK = 16 * 2**20
"""Memory is flat when the last third needs no more than so many times the first one's, and so many bytes."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What this process needs after a chapter."""

    memory: int
    """Bytes in RAM."""
    descriptors: int


def chapter(seed: int, number: int) -> tuple[str, Scene]:
    """The engine and the faults of a chapter. On PostgreSQL a promotion, if any, comes last: after it nothing is as before."""
    rng = random.Random(f"{seed}.{number}")
    engine = ENGINES[number % len(ENGINES)]
    usual = [scene.name for scene in SCENES[engine] if not scene.synchronous and not scene.slow_evs]
    last = [scene.name for scene in SCENES[engine] if scene.synchronous]
    names = rng.choices(usual, k=_FAULTS)
    if last and rng.random() < 0.7:
        return engine, in_turn(engine, *names, rng.choice(last), pace=rng.uniform(0.3, 1.2))
    return engine, in_turn(engine, *names, pace=rng.uniform(0.3, 1.2))


def grown(footprints: Sequence[Footprint]) -> list[str]:
    """In words, what has grown from the first third to the last; empty when all is flat."""
    if len(footprints) < 3:
        return []
    third = len(footprints) // 3
    first, last = footprints[:third], footprints[-third:]
    was, now = (statistics.median(each.memory for each in part) for part in (first, last))
    found = [] if now <= was * _GROWTH + _SLACK else [f"memory has grown from {was / 2**20:.0f} to {now / 2**20:.0f} MiB"]
    opened, open_now = max(each.descriptors for each in first), min(each.descriptors for each in last)
    return found if open_now <= opened else [*found, f"descriptors have grown from {opened} to {open_now}"]


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 when a chapter broke something, or what is needed has grown."""
    chosen = _parser().parse_args(arguments)
    logging.getLogger("aioclustersql").setLevel(logging.CRITICAL)
    numbers = iter([chosen.chapter]) if chosen.chapter is not None else _numbers(60.0 * chosen.minutes)
    _say(f"seed {chosen.seed}")
    footprints: list[Footprint] = []
    failed = False
    with ExitStack() as stack:
        wire = stack.enter_context(wired(NODES))
        faces = {engine: stack.enter_context(servers_for(engine)) for engine in ENGINES}
        for number in numbers:
            engine, scene = chapter(chosen.seed, number)
            complaints = _play(faces[engine], scene, wire)
            failed |= bool(complaints)
            footprints.append(_footprint())
            needs = f"{footprints[-1].memory / 2**20:.0f} MiB, {footprints[-1].descriptors} descriptors"
            faults = ", ".join(act.do for act in scene.acts if act.do != "pause")
            _say(f"chapter {number}, {engine}: {faults}: {needs}: {'; '.join(complaints) or 'ok'}")
    growth = grown(footprints[_WARM_UP * len(ENGINES) :])
    _say("; ".join(growth) or f"{len(footprints)} chapters, memory and descriptors flat")
    return 1 if failed or growth else 0


def _play(face: Engine, scene: Scene, wire: Wire | None) -> list[str]:
    """What was broken, in words, with what there is to see of it."""
    ours = [make() for name, make in clients(face.name).items() if name in OURS - TUNED]
    try:
        told = list(tell(play(face, scene, ours, tasks=_TASKS, wire=wire), ours))
    except Exception as error:  # noqa: BLE001 - the next chapter begins with whole servers
        first, *_ = str(error).splitlines() or [""]
        return [f"COULD NOT BE PLAYED: {type(error).__name__}: {first}"]
    return [
        f"{each.client}: {complaint} {[*each.misplaced, *each.unexplained, *each.left.reported]}"
        for each in told
        for complaint in each.complaints
    ]


def _numbers(seconds: float) -> Iterator[int]:
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        yield number
        number += 1


def _footprint() -> Footprint:
    gc.collect()
    return Footprint(psutil.Process().memory_info().rss, psutil.Process().num_fds())


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m chaos.soak", description="Random faults on real clusters.")
    made.add_argument("--minutes", type=float, default=30.0, help="for so long, and to the end of the chapter (default: 30)")
    made.add_argument("--seed", type=int, default=random.randrange(10**6), help="the faults' (default: a random one, printed)")
    made.add_argument("--chapter", type=int, help="only the chapter of this number")
    return made


if __name__ == "__main__":
    sys.exit(main())
