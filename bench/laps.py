"""Times pools against each other: in every round each runs a lap of every game it is in, and each round another one begins.

A lap's time and CPU, the process's own, last until what it left to be done in the background, resets above all, is done too.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median

from bench.pools import Pool, Settling

__all__ = ["Game", "Heat", "Laps", "race"]


@dataclass(frozen=True)
class Game:
    """What is repeated: `times` per lap, over so many tasks; one task acquires and releases, many query, too."""

    name: str
    times: int
    tasks: int = 1

    async def lap(self, pool: Pool) -> None:
        """One lap."""
        if self.tasks == 1:
            await pool.cycle(self.times)
            return
        async with asyncio.TaskGroup() as group:
            for _ in range(self.tasks):
                group.create_task(pool.query(self.times // self.tasks))


@dataclass
class Laps:
    """What each lap of one pool took, in seconds for one time."""

    pool: Pool
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median lap, in seconds for one time."""
        return median(self.times)

    @property
    def p50_cpu(self) -> float:
        """The CPU time of the median lap."""
        return median(self.cpu)


class Heat:
    """The pools that run one game against each other; ours is the first.

    `limits`: by the name of a peer, what ours is promised to take at most of its time, or, where there are many tasks, to reach
    at least of its throughput.
    """

    def __init__(self, game: Game, pools: Sequence[Pool], limits: Mapping[str, float]) -> None:
        self.game = game
        self.laps = [Laps(pool) for pool in pools]
        self.limits = limits

    @property
    def ours(self) -> Laps:
        """Ours, as it comes."""
        return self.laps[0]

    async def round(self, number: int) -> None:
        """A lap of each, another one first in every round."""
        first = number % len(self.laps)
        for laps in self.laps[first:] + self.laps[:first]:
            await _lap(self.game, laps)


async def race(heats: Sequence[Heat], rounds: int) -> None:
    """Open all pools, run all heats so many times, and close the pools. The round before the first is not measured."""
    pools = {id(laps.pool): laps.pool for heat in heats for laps in heat.laps}
    async with AsyncExitStack() as stack:
        for pool in pools.values():
            stack.push_async_callback(pool.close)
            await pool.open()
        for number in range(rounds + 1):
            for heat in heats:
                gc.collect()
                await heat.round(number)
                if number == 0:
                    for laps in heat.laps:
                        laps.times.clear()
                        laps.cpu.clear()


async def _lap(game: Game, laps: Laps) -> None:
    before = asyncio.all_tasks()
    cpu = time.process_time()
    began = time.perf_counter()
    await game.lap(laps.pool)
    if begun := asyncio.all_tasks() - before:
        await asyncio.wait(begun)
    if isinstance(laps.pool, Settling):
        await laps.pool.settle()
    laps.times.append((time.perf_counter() - began) / game.times)
    laps.cpu.append((time.process_time() - cpu) / game.times)
