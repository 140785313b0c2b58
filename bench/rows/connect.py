"""What one connect costs over 1 to 30 nodes, and many at the same time: time, client CPU, and logins on the servers.

The ways run in turn: in every round raw and warm by pairs, because their ratio is to be known best, then each other way once.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from bench.context import Context
from bench.figures import percentile, ratio_interval
from bench.peers import Connector, Naive, Ours, Raw, peers
from bench.result import Curve, Outcome, Table, Target, at_most, remarks
from bench.sampling import WARM_UP, Samples, all_at_once, sample, settled, warm_up
from bench.stands import Stand

__all__ = ["measure"]

_PAIRS = 4
_NODES = (1, 3, 10, 30)
_JUDGED = (3, 30)
_WARM = {"asyncpg": 1.10, "aiomysql": 1.45}
"""How much a warm connect may cost, in raw ones: aiomysql's has a statement more to see that the node serves."""
_CPU, _LOGINS, _BURST, _BURST_LOGINS = 1.25, 1.05, 1.15, 1.05
_NAIVE = (9.0, 19.0)
_COLD_EXTRA = 55
_HEAD = ("driver", "nodes", "way", "p50 ms", "p99 ms", "CPU ms", "time x raw", "95 % of it", "CPU x raw", "logins", "connects")
_REASONS = {
    "asyncpg": {"": "its connect is C code, or asks no other host, and ours keeps books of every login"},
    "aiomysql": {
        "": "ours sends one statement more, to see that the node serves: one outside the primary component lets everybody in"
    },
}


@dataclass(frozen=True)
class _Burst:
    way: str
    nodes: int
    connects: int
    times: Sequence[float]
    logins: Sequence[int]
    unwell: int = 0

    @property
    def p50(self) -> float:
        return median(self.times)


def measure(context: Context) -> Outcome:
    """The row."""
    outcome = Outcome("connect", "What a connect costs")
    rows, bursts = [], []
    for driver in context.drivers:
        stand = context.stand(driver)
        cells: dict[int, list[Samples]] = {}
        for count in _NODES:
            cells[count] = context.run(_interleaved(stand, count, context.times(30, 2)))
            context.say(f"{driver}, {count} nodes: " + ", ".join(f"{c.way} {1e3 * c.p50:.2f} ms" for c in cells[count]))
        raw, warm = context.run(_at_once(stand, _NODES[1], 200, context.times(15, 1)))
        cold = context.run(_cold(stand, _NODES[-1], 50, context.times(5, 1)))
        rows += [row for count, found in cells.items() for row in _rows(driver, count, found)]
        bursts += _burst_rows(driver, [raw, warm, cold])
        outcome.targets += [*_targets(driver, cells), *_burst_targets(driver, raw, warm, cold)]
        outcome.remarks += _remarks(driver, cells)
        outcome.curves += _curves(driver, cells)
    note = (
        "*time x raw* and *CPU x raw* are ratios of medians, with the interval of 95 in 100 bootstrap samples; *logins*: a mean "
        "per connect, as the servers count them."
    )
    outcome.tables = [
        Table("One connect after another", _HEAD, rows, note),
        Table("At the same time", ("driver", "what", "ms", "x raw", "logins", "nodes unwell"), bursts),
    ]
    return outcome


async def _interleaved(stand: Stand, nodes: int, rounds: int) -> list[Samples]:
    urls = [stand.url(number) for number in range(nodes)]
    raw, warm = Raw(urls), Ours(urls)
    others: list[Connector] = [Ours(urls, at_once=True), Naive(urls), *peers(stand.driver, urls)]
    ways: list[Connector] = [raw, warm, *others]
    cells = {way.name: Samples(way.name) for way in ways}
    try:
        for way in ways:
            await warm_up(way, WARM_UP + 3 * nodes if way is warm else 3)
        gc.collect()
        for _ in range(rounds):
            for pair in range(_PAIRS):
                for way in (raw, warm) if pair % 2 == 0 else (warm, raw):
                    await sample(way, cells[way.name], stand.logins)
            for way in others:
                await sample(way, cells[way.name], stand.logins)
                await asyncio.sleep(stand.rest * nodes)
            for way in (raw, warm):
                await warm_up(way, 1)  # unmeasured: the next of each finds its caches as warm as the others
    finally:
        for way in ways:
            await way.close()
    return list(cells.values())


async def _at_once(stand: Stand, nodes: int, connects: int, rounds: int) -> list[_Burst]:
    """So many connects at the same time, raw (spread evenly) and warm in turn."""
    urls = [stand.url(number) for number in range(nodes)]
    warm, raws = Ours(urls), [Raw([url]) for url in urls]
    times: dict[str, list[float]] = {"raw": [], "warm": []}
    logins: dict[str, list[int]] = {"raw": [], "warm": []}
    unwell = 0
    try:
        await warm_up(warm, WARM_UP + 3 * nodes)
        await all_at_once([warm.connect() for _ in range(connects)], warm.goodbye, stand.logins)  # neither side is the first
        for number in range(rounds):
            for way in ("raw", "warm") if number % 2 == 0 else ("warm", "raw"):
                asked = [raws[each % nodes].connect() if way == "raw" else warm.connect() for each in range(connects)]
                seconds, counted = await all_at_once(asked, warm.goodbye, stand.logins)
                times[way].append(seconds)
                logins[way].append(counted)
                await asyncio.sleep(stand.rest * connects)
            unwell += _unwell(warm)
    finally:
        await warm.close()
    return [_Burst(way, nodes, connects, times[way], logins[way], unwell if way == "warm" else 0) for way in ("raw", "warm")]


async def _cold(stand: Stand, nodes: int, connects: int, rounds: int) -> _Burst:
    """So many connects at the same time on a cluster that knows nothing yet, a new one each time."""
    times, logins, unwell = [], [], 0
    for _ in range(rounds):
        cold = Ours([stand.url(number) for number in range(nodes)])
        try:
            seconds, counted = await all_at_once([cold.connect() for _ in range(connects)], cold.goodbye, stand.logins)
            unwell += _unwell(cold)
        finally:
            await cold.close()
        await settled()
        times.append(seconds)
        logins.append(counted)
    return _Burst("cold", nodes, connects, times, logins, unwell)


def _unwell(way: Ours) -> int:
    return sum(node.health != "up" for node in way.cluster.stats().nodes.values())


def _rows(driver: str, nodes: int, cells: Sequence[Samples]) -> list[list[str | int | float | None]]:
    raw = cells[0]
    made: list[list[str | int | float | None]] = []
    for each in cells:
        low, high = ratio_interval(each.times, raw.times)
        figures = (1e3 * each.p50, 1e3 * percentile(each.times, 0.99), 1e3 * each.p50_cpu, each.p50 / raw.p50)
        interval = None if each is raw else f"{low:.2f}-{high:.2f}"
        made.append([driver, nodes, each.way, *figures, interval, each.p50_cpu / raw.p50_cpu, each.mean_logins, len(each.times)])
    return made


def _burst_rows(driver: str, bursts: Sequence[_Burst]) -> list[list[str | int | float | None]]:
    raw = bursts[0]
    made: list[list[str | int | float | None]] = []
    for each in bursts:
        cold = each.way == "cold"
        logins = f"{max(each.logins)} at most" if cold else f"{fmean(each.logins) / each.connects:.3f} each"
        what = f"{each.connects} {each.way} connects over {each.nodes} nodes"
        made.append([driver, what, 1e3 * each.p50, None if cold else each.p50 / raw.p50, logins, each.unwell])
    return made


def _targets(driver: str, cells: dict[int, list[Samples]]) -> list[Target]:
    made = []
    for nodes in _JUDGED:
        raw, warm, at_once = cells[nodes][:3]
        what = f"{driver}, {nodes} nodes"
        made += [
            at_most(f"{what}, warm: time", warm.p50 / raw.p50, _WARM[driver], " x raw"),
            at_most(f"{what}, warm: client CPU", warm.p50_cpu / raw.p50_cpu, _CPU, " x raw"),
            at_most(f"{what}, warm: logins per connect", warm.mean_logins, _LOGINS),
            at_most(f"{what}, stagger=0: logins per connect", at_once.mean_logins, float(nodes)),
        ]
    raw, _, _, naive, *_ = cells[30]
    found, (low, high) = naive.p50 / raw.p50, _NAIVE
    wanted = f"{low:g}-{high:g} x raw"
    return [*made, Target(f"{driver}, 30 nodes, naive: time", wanted, f"{found:.1f} x raw", met=low <= found <= high)]


def _burst_targets(driver: str, raw: _Burst, warm: _Burst, cold: _Burst) -> list[Target]:
    what = f"{driver}, {warm.connects} warm connects at once over {warm.nodes} nodes"
    many = f"{driver}, {cold.connects} cold connects at once over {cold.nodes} nodes"
    return [
        at_most(f"{what}: time", warm.p50 / raw.p50, _BURST, " x raw"),
        at_most(f"{what}: logins per connect", fmean(warm.logins) / warm.connects, _BURST_LOGINS),
        at_most(f"{what}: breakers moved", warm.unwell, 0),
        at_most(f"{many}: logins in all", max(cold.logins), cold.nodes + _COLD_EXTRA),
    ]


def _remarks(driver: str, cells: dict[int, list[Samples]]) -> list[str]:
    made = []
    for nodes in _JUDGED:
        others = {each.way: each.p50 for each in cells[nodes] if each.way not in ("warm", "stagger=0")}
        made += remarks(f"{driver}, {nodes} nodes, warm connect", cells[nodes][1].p50, others, _REASONS[driver])
    return made


def _curves(driver: str, cells: dict[int, list[Samples]]) -> list[Curve]:
    made = []
    panels: dict[str, Callable[[Samples], float]] = {
        "ms": lambda each: 1e3 * each.p50,
        "cpu": lambda each: 1e3 * each.p50_cpu,
        "logins": lambda each: each.mean_logins,
    }
    for panel, figure in panels.items():
        for index, first in enumerate(cells[1]):
            points = [(nodes, round(figure(found[index]), 4)) for nodes, found in cells.items()]
            made.append(Curve(f"nodes/{driver}/{panel}", first.way, points))
    return made
