"""Takes the samples: which way when, what is inside the time and what only inside the CPU, and what becomes of the numbers.

Timed is from the call to a usable connection. The CPU is that of this process until nothing is left under way: the goodbye,
and whatever the losers of a race still do. Logins are what the servers counted meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import math
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.stands import Stand
from bench.ways import Naive, Ours, Raw, Way

__all__ = ["Burst", "Cell", "burst", "cold_burst", "interleaved", "ratio_interval"]

PAIRS = 4
"""Measured pairs of raw and warm in every round: theirs is the ratio that is to be small, so it is to be known best."""


@dataclass
class Cell:
    """One way over so many nodes: seconds, CPU seconds and logins of each connect."""

    way: str
    nodes: int
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    logins: list[int] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median time."""
        return median(self.times)

    @property
    def p99(self) -> float:
        """The 99th percentile of the times; with under a hundred of them the largest."""
        return sorted(self.times)[math.ceil(0.99 * len(self.times)) - 1]

    @property
    def p50_cpu(self) -> float:
        """The median CPU time."""
        return median(self.cpu)

    @property
    def mean_logins(self) -> float:
        """Logins per connect: a mean, because the rare second login is what it is about."""
        return sum(self.logins) / len(self.logins)


@dataclass(frozen=True)
class Burst:
    """Many connects at the same time: seconds until all had their connection, and logins per connect or in all."""

    way: str
    nodes: int
    connects: int
    times: Sequence[float]
    logins: Sequence[int]
    unwell: int = 0
    """Nodes whose breaker had moved at the end of any of them."""

    @property
    def p50(self) -> float:
        """The median time of a burst."""
        return median(self.times)


async def interleaved(stand: Stand, nodes: int, rounds: int) -> list[Cell]:
    """All ways over so many nodes, in turn: in every round raw, warm, warm, raw …, then `stagger=0`, then naive."""
    raw, warm, at_once, naive = Raw(stand), Ours(stand, nodes), Ours(stand, nodes, at_once=True), Naive(stand, nodes)
    ways: tuple[Way, ...] = (raw, warm, at_once, naive)
    cells = {way.name: Cell(way.name, nodes) for way in ways}
    try:
        for way in ways:
            await way.warm_up()
            await _settled()
        gc.collect()
        for _ in range(rounds):
            for pair in range(PAIRS):
                first, second = (raw, warm) if pair % 2 == 0 else (warm, raw)
                await _sample(stand, first, cells[first.name])
                await _sample(stand, second, cells[second.name])
            for way in (at_once, naive):
                await _sample(stand, way, cells[way.name])
                await asyncio.sleep(stand.rest * nodes)
            for way in (raw, warm):
                await stand.goodbye(await way.connect())  # unmeasured: the next of each finds its caches as warm as the others
            await _settled()
    finally:
        for way in ways:
            await way.close()
    return list(cells.values())


async def burst(stand: Stand, nodes: int, connects: int, rounds: int) -> list[Burst]:
    """So many connects at the same time, raw (spread evenly) and warm in turn."""
    warm = Ours(stand, nodes)
    times: dict[str, list[float]] = {"raw": [], "warm": []}
    logins: dict[str, list[int]] = {"raw": [], "warm": []}
    unwell = 0
    try:
        await warm.warm_up()
        await _all_at_once(stand, [warm.connect() for _ in range(connects)])  # neither side is the first
        for number in range(rounds):
            for way in ("raw", "warm") if number % 2 == 0 else ("warm", "raw"):
                asked = [stand.login(each % nodes) if way == "raw" else warm.connect() for each in range(connects)]
                seconds, counted = await _all_at_once(stand, asked)
                times[way].append(seconds)
                logins[way].append(counted)
            unwell += sum(node.health != "up" for node in warm.cluster.stats().nodes.values())
    finally:
        await warm.close()
    return [Burst(way, nodes, connects, times[way], logins[way], unwell if way == "warm" else 0) for way in ("raw", "warm")]


async def cold_burst(stand: Stand, nodes: int, connects: int, rounds: int) -> Burst:
    """So many connects at the same time on a cluster that knows nothing yet, a new one each time."""
    times, logins, unwell = [], [], 0
    for _ in range(rounds):
        cold = Ours(stand, nodes)
        try:
            seconds, counted = await _all_at_once(stand, [cold.connect() for _ in range(connects)])
            unwell += sum(node.health != "up" for node in cold.cluster.stats().nodes.values())
        finally:
            await cold.close()
        times.append(seconds)
        logins.append(counted)
    return Burst("cold", nodes, connects, times, logins, unwell)


async def _sample(stand: Stand, way: Way, cell: Cell) -> None:
    before = stand.logins()
    cpu = time.process_time()
    began = time.perf_counter()
    conn = await way.connect()
    cell.times.append(time.perf_counter() - began)
    await stand.goodbye(conn)
    await _settled()
    cell.cpu.append(time.process_time() - cpu)
    cell.logins.append(stand.logins() - before)


async def _all_at_once(stand: Stand, asked: Iterable[Any]) -> tuple[float, int]:
    """Seconds until all have their connection, and the logins until nothing is under way."""
    gc.collect()
    before = stand.logins()
    began = time.perf_counter()
    connections = await asyncio.gather(*asked)
    seconds = time.perf_counter() - began
    await _settled()
    counted = stand.logins() - before
    await asyncio.gather(*map(stand.goodbye, connections))
    await _settled()
    await asyncio.sleep(stand.rest * len(connections))
    return seconds, counted


async def _settled() -> None:
    """Until no other task is left in this loop."""
    me = asyncio.current_task()
    while others := [task for task in asyncio.all_tasks() if task is not me]:
        await asyncio.wait(others)
    await asyncio.sleep(0)  # closed transports have their last call yet to come


def ratio_interval(ours: Sequence[float], raw: Sequence[float], seed: int = 1) -> tuple[float, float]:
    """Where the ratio of the medians lies, in 95 of 100 bootstrap samples."""
    rng = random.Random(seed)
    draws = sorted(median(rng.choices(ours, k=len(ours))) / median(rng.choices(raw, k=len(raw))) for _ in range(400))
    return draws[10], draws[389]
