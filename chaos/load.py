"""A load on a client, and what became of each unit of it: when it began and ended, and how.

Rule: nothing is judged while the load runs; `chaos.check` and the tests ask the record afterwards.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from chaos.client import Client

__all__ = ["Kind", "Load", "Outcome", "Unit", "load"]

Kind = Literal["write", "read"]
Outcome = Literal["under way", "ok", "unknown", "failed"]

_PATIENCE = 6.0
"""Seconds that the units under way are given when the load is over; what takes longer hangs."""
_CANCEL = 2.0
"""Seconds that a hanging unit is given when it is cancelled."""


@dataclass(slots=True)
class Unit:
    """One unit of work: an append or a read. Times are the loop's."""

    kind: Kind
    key: str
    began: float
    ended: float | None = None
    error: BaseException | None = None
    unknown: bool = False

    def __repr__(self) -> str:
        took = "" if self.ended is None else f", {self.ended - self.began:.3f} s"
        error = "" if self.error is None else " ".join([f", {self.error!r}", *getattr(self.error, "__notes__", ())])
        return f"<{self.kind} {self.key}{took}: {self.outcome}{error}>"

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        if self.ended is None:
            return "under way"
        if self.error is None:
            return "ok"
        return "unknown" if self.unknown else "failed"

    @property
    def task(self) -> str:
        """Whose unit it is."""
        return self.key.rpartition(".")[0]


@dataclass(slots=True)
class Load:
    """Tasks that do units one after another, with a pause in between, until the load is over."""

    client: Client
    pause: float
    units: list[Unit] = field(default_factory=list)
    over: bool = False
    stuck: int = 0
    """Tasks that did not even end when they were cancelled."""
    _rng: random.Random = field(default_factory=lambda: random.Random(1))

    async def work(self, kind: Kind, task: str) -> None:
        """One task's life."""
        loop, number = asyncio.get_running_loop(), 0
        while not self.over:
            number += 1
            unit = Unit(kind, f"{task}.{number}", loop.time())
            self.units.append(unit)
            try:
                await (self.client.append(unit.key) if kind == "write" else self.client.read())
            except Exception as error:  # noqa: BLE001 - it is what is recorded
                unit.error = error
                unit.unknown = kind == "write" and self.client.unknown(error)
            unit.ended = loop.time()
            await asyncio.sleep(self.pause * (0.5 + self._rng.random()))

    def with_outcome(self, outcome: Outcome) -> list[Unit]:
        """The units that ended so."""
        return [unit for unit in self.units if unit.outcome == outcome]


@asynccontextmanager
async def load(client: Client, *, writers: int = 0, readers: int = 0, pause: float = 0.03, name: str = "") -> AsyncIterator[Load]:
    """So many tasks at work while the block runs; at its end each finishes its unit, unless that hangs.

    `pause`: seconds between two units of a task, on average. `name`: begins every key.
    """
    made = Load(client, pause)
    kinds: dict[Kind, int] = {"write": writers, "read": readers}
    tasks = [
        asyncio.create_task(made.work(kind, f"{name}{kind}{number}"), name=f"load {name}{kind}{number}")
        for kind, count in kinds.items()
        for number in range(count)
    ]
    try:
        yield made
    finally:
        made.over = True
        _, hanging = await asyncio.wait(tasks, timeout=_PATIENCE) if tasks else (set(), set())
        for task in hanging:
            task.cancel()
        if hanging:
            _, stuck = await asyncio.wait(hanging, timeout=_CANCEL)
            made.stuck = len(stuck)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()
