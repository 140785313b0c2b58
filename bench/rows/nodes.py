"""One to a hundred nodes: what choosing among them costs a lease and a connect.

A lease on real servers, over up to 60 addresses of one, beside hasql, which alone of the peers keeps a pool per host. Lease and
connect on the fake driver, whose logins take no time, so that nothing but our own code is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

from aioclustersql import Cluster
from aioclustersql.testing import FakeDriver
from bench.context import Context
from bench.elastic import OURS, Elastic, makers
from bench.result import Cell, Curve, Outcome, Table, remarks
from bench.stands import Stand

__all__ = ["measure"]

_NODES = (1, 3, 10, 30, 60, 100)
_MOST = {"asyncpg": 60, "aiomysql": 30}
"""Addresses of the stand."""
_LAP = 200
_HEAD = ("driver", "what", "library", "nodes", "CPU µs", "x one node")
_REASONS = {"hasql": "it takes the pool with the most free connections and does not ask which node is near"}


def measure(context: Context) -> Outcome:
    """The row."""
    outcome = Outcome("nodes", "1 to 100 nodes")
    rows: list[Sequence[Cell]] = []
    laps = context.times(15, 2)
    for driver in context.drivers:
        leases: dict[str, dict[int, float]] = {name: {} for name in makers(driver, several_hosts=True)}
        for nodes in (count for count in _NODES if count <= _MOST[driver]):
            for name, seconds in context.run(_leases(context.stand(driver), nodes, laps)).items():
                leases[name][nodes] = seconds
        for name, by_nodes in leases.items():
            rows += _rows(driver, "acquire + release", name, by_nodes)
            outcome.curves.append(Curve("choosing/lease", f"{name}, {driver}", _points(by_nodes)))
        most = max(leases[OURS])
        others = {name: by_nodes[most] for name, by_nodes in leases.items() if name != OURS}
        outcome.remarks += remarks(f"{driver}, {most} nodes, CPU of a lease", leases[OURS][most], others, _REASONS)
        context.say(
            f"{driver}, a lease over {most} nodes: " + ", ".join(f"{n} {1e6 * s[most]:.0f} µs" for n, s in leases.items())
        )
    connects = {nodes: context.run(_connects(nodes, laps)) for nodes in _NODES}
    leased = {nodes: context.run(_fake_leases(nodes, laps)) for nodes in _NODES}
    rows += [*_rows("fake", "acquire + release", OURS, leased), *_rows("fake", "connect", OURS, connects)]
    outcome.curves += [
        Curve("choosing/lease", f"{OURS}, fake", _points(leased)),
        Curve("choosing/connect", OURS, _points(connects)),
    ]
    context.say(f"fake, over 100 nodes: a lease {1e6 * leased[100]:.0f} µs, a connect {1e6 * connects[100]:.0f} µs")
    note = (
        "CPU of the client, all resets on, one after another; with every node measured and at least one connection open on each."
    )
    outcome.tables = [Table("The cost of choosing", _HEAD, rows, note)]
    return outcome


async def _leases(stand: Stand, nodes: int, laps: int) -> dict[str, float]:
    urls = [stand.url(number) for number in range(nodes)]
    found: dict[str, list[float]] = {}
    pools = {name: await make(urls, nodes, nodes) for name, make in makers(stand.driver, several_hosts=True).items()}
    try:
        for _ in range(laps):
            for name, pool in pools.items():
                found.setdefault(name, []).append(await _lap(partial(_lease, pool)))
    finally:
        for pool in pools.values():
            await pool.close()
    return {name: median(times) for name, times in found.items()}


async def _connects(nodes: int, laps: int) -> float:
    names = [f"n{number}" for number in range(nodes)]
    driver = FakeDriver(*names)
    cluster: Cluster[Any] = Cluster({name: f"fake://app@{name}/shop" for name in names}, driver=driver)

    async def connect() -> None:
        await driver.close(await cluster.connect())

    for _ in range(30 + 3 * nodes):
        await connect()
    times = []
    for _ in range(laps):
        times.append(await _lap(connect))
        driver.trace.clear()
    await cluster.close()
    return median(times)


async def _fake_leases(nodes: int, laps: int) -> float:
    names = [f"n{number}" for number in range(nodes)]
    driver = FakeDriver(*names)
    urls = {name: f"fake://app@{name}/shop" for name in names}
    async with Cluster(urls, driver=driver, min_size=1) as cluster:
        await cluster.wait_ready(nodes=nodes, timeout=30)
        return median([await _lap(partial(_lease, Elastic(cluster.acquire, _nothing, cluster.close))) for _ in range(laps)])


async def _nothing(_conn: object, _statement: str) -> None:
    pass


async def _lap(once: Callable[[], Awaitable[None]]) -> float:
    """CPU seconds each."""
    cpu = time.process_time()
    for _ in range(_LAP):
        await once()
    return (time.process_time() - cpu) / _LAP


async def _lease(pool: Elastic) -> None:
    async with pool.lease():
        await asyncio.sleep(0)


def _rows(driver: str, what: str, name: str, by_nodes: dict[int, float]) -> list[Sequence[Cell]]:
    return [[driver, what, name, nodes, 1e6 * seconds, seconds / by_nodes[1]] for nodes, seconds in by_nodes.items()]


def _points(by_nodes: dict[int, float]) -> list[tuple[float, float]]:
    return [(nodes, round(1e6 * seconds, 2)) for nodes, seconds in by_nodes.items()]
