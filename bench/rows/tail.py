"""The tail of connect's latency: with one slow node of three, and with 1 % of new connections stalled for 50 ms to 3 s.

Every way has proxies of its own, whose stalls follow from the same seed, and they connect in turn, one connect after another.
Attempts are what the proxies accepted, so they are counted alike for everybody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from bench.context import Context
from bench.faults import Fault, Proxies, open_proxies
from bench.figures import curve, percentile
from bench.peers import Connector, Naive, Ours, address, peers, with_port
from bench.result import Curve, Outcome, Table, Target, at_most, remarks
from bench.sampling import settled
from bench.stands import Stand

__all__ = ["measure"]

_NODES = 3
_STALLS, _STALL = 0.01, (0.05, 3.0)
_SLOW = 0.02
"""Seconds added to every chunk, both ways: a login takes several round trips, so it is some twenty times as long."""
_P999, _ATTEMPTS = 0.030, 1.05
_HEAD = ("driver", "what", "way", "p50 ms", "p99 ms", "p99.9 ms", "slowest ms", "attempts each", "connects")
_WARM_UP = 40
_ENOUGH = {0.999: 500, 0.99: 50}
"""With fewer connects a percentile says too little to be compared."""
_REASONS = {
    "naive": "it logs in to every node each time, three times the load on the servers",
    "stagger=0": "it logs in to every node each time, three times the load on the servers",
    "": "it uses the first host alone, which here is not the ill one",
}


@dataclass
class _Lane:
    """One way, and how it fared; `share` is how many connects it makes when ours makes ten."""

    way: Connector
    proxies: slice
    share: int
    times: list[float] = field(default_factory=list)
    attempts: int = 0

    @property
    def each(self) -> float:
        return self.attempts / len(self.times)


def measure(context: Context) -> Outcome:
    """The row."""
    outcome = Outcome("tail", "The tail of connect")
    rows = []
    for driver in context.drivers:
        stand = context.stand(driver)
        stalled = [Fault(*address(stand.url(node)), stalls=_STALLS, stall=_STALL, seed=7 + node) for node in range(_NODES)]
        slow = [_slow_first(node, stand.url(node)) for node in range(_NODES)]
        scenes = {
            "1 % stalls of 50 ms-3 s": (stalled, context.times(300, 10)),
            "the first host slow": (slow, context.times(30, 2)),
        }
        for what, (faults, tens) in scenes.items():
            lanes = context.run(_measure(stand, faults, tens, slow=faults is slow))
            rows += [_row(driver, what, lane) for lane in lanes]
            context.say(f"{driver}, {what}: " + ", ".join(f"{lane.way.name} p99.9 {_p999(lane):.1f} ms" for lane in lanes))
            part = 0.999 if faults is stalled else 0.99
            tails = {lane.way.name: percentile(lane.times, part) for lane in lanes if len(lane.times) >= _ENOUGH[part]}
            ours = percentile(lanes[0].times, part)
            outcome.remarks += remarks(f"{driver}, {what}, p{100 * part:g} of connect", ours, tails, _REASONS)
            if faults is stalled:
                outcome.targets += _targets(driver, lanes[0])
                outcome.curves += [Curve(f"stalls/{driver}", lane.way.name, _milliseconds(lane)) for lane in lanes]
    note = (
        "Through proxies in a process of their own, healthy but for what is said. With fewer than a thousand connects p99.9 is "
        "the slowest. The slow host adds 20 ms to everything it is told and says; it is the first in everybody's list."
    )
    outcome.tables = [Table("Connect, one after another, three hosts", _HEAD, rows, note)]
    return outcome


def _slow_first(node: int, url: str) -> Fault:
    host, port = address(url)
    return Fault(host, port, mode="delay", delay=_SLOW) if node == 0 else Fault(host, port)


async def _measure(stand: Stand, faults: Sequence[Fault], tens: int, *, slow: bool) -> list[_Lane]:
    """`tens`: so often ten connects of ours, and the share of every other way."""
    urls = [stand.url(node) for node in range(_NODES)]
    count = 3 + len(peers(stand.driver, urls))
    async with open_proxies(list(chain.from_iterable(faults for _ in range(count)))) as proxies:
        lanes = _lanes(stand.driver, urls, proxies, slow=slow)
        try:
            for lane in lanes:
                for _ in range(_WARM_UP if lane is lanes[0] else 1):
                    await lane.way.goodbye(await lane.way.connect())
            before = await proxies.accepted()
            for _ in range(tens):
                for lane in lanes:
                    await _connect(lane, lane.share)
            await settled()
            after = await proxies.accepted()
            for lane in lanes:
                lane.attempts = sum(after[lane.proxies]) - sum(before[lane.proxies])
        finally:
            for lane in lanes:
                await lane.way.close()
    return lanes


def _lanes(driver: str, urls: Sequence[str], proxies: Proxies, *, slow: bool) -> list[_Lane]:
    made: list[_Lane] = []

    def through() -> list[str]:
        ports = proxies.ports[_NODES * len(made) :]
        return [with_port(url, port) for url, port in zip(urls, ports, strict=False)]

    def add(way: Connector, share: int) -> None:
        made.append(_Lane(way, slice(_NODES * len(made), _NODES * len(made) + _NODES), share))

    add(Ours(through()), 10)
    add(Ours(through(), at_once=True), 3)
    add(Naive(through()), 3)
    for index in range(len(peers(driver, urls))):
        add(peers(driver, through())[index], 1 if slow else 3)
    return made


async def _connect(lane: _Lane, times: int) -> None:
    for _ in range(times):
        began = time.perf_counter()
        conn = await lane.way.connect()
        lane.times.append(time.perf_counter() - began)
        await lane.way.goodbye(conn)
        await asyncio.sleep(0)


def _p999(lane: _Lane) -> float:
    return 1e3 * percentile(lane.times, 0.999)


def _row(driver: str, what: str, lane: _Lane) -> list[str | int | float | None]:
    p50, p99 = (1e3 * percentile(lane.times, part) for part in (0.5, 0.99))
    return [driver, what, lane.way.name, p50, p99, _p999(lane), 1e3 * max(lane.times), lane.each, len(lane.times)]


def _targets(driver: str, ours: _Lane) -> list[Target]:
    return [
        at_most(f"{driver}, 1 % stalls: p99.9 of connect", _p999(ours), 1e3 * _P999, " ms"),
        at_most(f"{driver}, 1 % stalls: attempts per connect", ours.each, _ATTEMPTS),
    ]


def _milliseconds(lane: _Lane) -> list[tuple[float, float]]:
    return [(round(1e3 * value, 3), round(part, 6)) for value, part in curve(lane.times)]
