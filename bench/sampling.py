"""Takes the samples of connects: what is inside the time and what only inside the CPU.

Timed is from the call to a usable connection. The CPU is that of this process until nothing is left under way: the goodbye,
and whatever the losers of a race still do. Logins are what the servers counted meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from bench.peers import Connector

__all__ = ["Samples", "all_at_once", "sample", "settled", "warm_up"]

WARM_UP = 30
"""Connects of each way before anything is measured."""


@dataclass
class Samples:
    """Seconds, CPU seconds and logins of each connect of one way."""

    way: str
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    logins: list[int] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median time."""
        return median(self.times)

    @property
    def p50_cpu(self) -> float:
        """The median CPU time."""
        return median(self.cpu)

    @property
    def mean_logins(self) -> float:
        """Logins per connect: a mean, because the rare second login is what it is about."""
        return fmean(self.logins)


async def sample(way: Connector, samples: Samples, logins: Callable[[], int]) -> None:
    """One connect and its goodbye."""
    before = logins()
    cpu = time.process_time()
    began = time.perf_counter()
    conn = await way.connect()
    samples.times.append(time.perf_counter() - began)
    await way.goodbye(conn)
    await settled()
    samples.cpu.append(time.process_time() - cpu)
    samples.logins.append(logins() - before)


async def all_at_once(asked: Iterable[Any], ended: Callable[[Any], Any], logins: Callable[[], int]) -> tuple[float, int]:
    """Seconds until all have their connection, and the logins until nothing is under way; `ended` says goodbye to each."""
    gc.collect()
    before = logins()
    began = time.perf_counter()
    connections = await asyncio.gather(*asked)
    seconds = time.perf_counter() - began
    await settled()
    counted = logins() - before
    await asyncio.gather(*map(ended, connections))
    await settled()
    return seconds, counted


async def warm_up(way: Connector, connects: int = WARM_UP) -> None:
    """Learn what there is to learn before the measuring."""
    for _ in range(connects):
        await way.goodbye(await way.connect())
    await settled()


async def settled() -> None:
    """Until no other task is left in this loop."""
    me = asyncio.current_task()
    while others := [task for task in asyncio.all_tasks() if task is not me]:
        await asyncio.wait(others)
    await asyncio.sleep(0)  # closed transports have their last call yet to come
