"""One timer for many deadlines: it rings at the earliest, once, and never for nothing again and again."""

from __future__ import annotations

import asyncio
import math

from aioclustersql.runtime.alarm import Alarm


class Rings:
    """When an alarm rang; it is told that the next deadline is the one in `then`."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.then = math.inf
        self.alarm = Alarm(asyncio.get_running_loop(), self)

    def __call__(self, now: float) -> float:
        self.at.append(now)
        then, self.then = self.then, math.inf
        return then


async def test_it_rings_at_the_earliest_deadline():
    rings = Rings()
    for deadline in (3.0, 1.5, 2.0):
        rings.alarm.set(deadline)
    await asyncio.sleep(4.0)
    assert rings.at == [1.5]


async def test_it_rings_again_at_the_deadline_that_is_left():
    rings = Rings()
    rings.then = 3.0
    rings.alarm.set(1.5)
    await asyncio.sleep(4.0)
    assert rings.at == [1.5, 3.0]


async def test_no_deadline_is_no_timer():
    rings = Rings()
    rings.alarm.set(math.inf)
    await asyncio.sleep(4.0)
    assert rings.at == []


async def test_stopped_it_does_not_ring():
    rings = Rings()
    rings.alarm.set(1.5)
    rings.alarm.stop()
    await asyncio.sleep(4.0)
    assert rings.at == []


async def test_a_deadline_between_two_ticks_of_the_clock_is_over_when_it_rings():
    rings = Rings()
    deadline = 1.5 + 4e-10
    rings.alarm.set(deadline)
    await asyncio.sleep(4.0)
    assert rings.at == [deadline]
