"""HikariCP's spike: fifty requests at once on a pool with five open connections and room for fifty.

A login takes 150 ms, a query 2 ms: who opens a connection for every waiter pays for logins that nobody needs when they are done.
Once in virtual time, where the figures are exact, and on real servers beside the peers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from aioclustersql import Cluster
from aioclustersql.testing import FakeDriver, FakeServer, run_virtual
from bench.context import Context
from bench.elastic import OURS, Make, makers
from bench.faults import Fault, Proxies, open_proxies
from bench.peers import address, with_port
from bench.result import Cell, Outcome, Table, at_most, remarks
from bench.stands import Stand

__all__ = ["measure"]

_REQUESTS, _WARM, _ROOM = 50, 5, 50
_LOGIN, _QUERY = 0.150, 0.002
_OPENED, _SECONDS = 8, 0.025
_STATEMENTS = {"asyncpg": f"SELECT pg_sleep({_QUERY})", "aiomysql": f"SELECT SLEEP({_QUERY})"}
_HEAD = ("driver", "nodes", "pool", "connections opened", "ms until all are served")
_REASONS = {
    "SQLAlchemy": "it opens a connection for every request that waits, so that all queries run at once when the logins are done",
    "": "ours resets each connection on the server before the next request gets it",
}


def measure(context: Context) -> Outcome:
    """The row."""
    outcome = Outcome("spike", "A spike of fifty requests")
    rows: list[Sequence[Cell]] = []
    for nodes in (1, 3):
        opened, seconds = run_virtual(_virtual(nodes))
        rows.append(["none (virtual time)", nodes, OURS, opened, 1e3 * seconds])
        outcome.targets.append(at_most(f"virtual time, {nodes} nodes: connections opened", opened, _OPENED))
        outcome.targets.append(
            at_most(f"virtual time, {nodes} nodes: until all are served", 1e3 * seconds, 1e3 * _SECONDS, " ms")
        )
    for driver in context.drivers:
        found = context.run(_measure(context.stand(driver), context.times(7, 1)))
        rows += [[driver, 1, name, max(opened), 1e3 * median(seconds)] for name, (opened, seconds) in found.items()]
        context.say(
            f"{driver}: " + ", ".join(f"{name} {max(o)} opened, {1e3 * median(s):.0f} ms" for name, (o, s) in found.items())
        )
        outcome.targets.append(at_most(f"{driver}, real: connections opened", max(found[OURS][0]), _OPENED))
        for what, figure in (("connections opened", 0), ("until all are served", 1)):
            others = {name: float(median(each[figure])) for name, each in found.items() if name != OURS}
            outcome.remarks += remarks(f"{driver}, {what}", float(median(found[OURS][figure])), others, _REASONS)
    note = (
        f"{_REQUESTS} requests of {1e3 * _QUERY:g} ms at once, {_WARM} connections open, room for {_ROOM}, a login takes "
        f"{1e3 * _LOGIN:g} ms. *opened*: the largest of all rounds, the {_WARM} with it; the time is a median. All resets are on."
    )
    outcome.tables = [Table("What opens, and how long it takes", _HEAD, rows, note)]
    return outcome


async def _virtual(nodes: int) -> tuple[int, float]:
    names = [f"n{number}" for number in range(nodes)]
    driver = FakeDriver(*(FakeServer(name, delay=_LOGIN, query_delay=_QUERY) for name in names))
    urls = {name: f"fake://app@{name}/shop" for name in names}
    cluster: Cluster[Any] = Cluster(urls, driver=driver, max_size=_ROOM, max_total=_ROOM, monitor_interval=None)
    async with cluster:
        await _hold(cluster.acquire, _WARM)
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for _ in range(_REQUESTS):
                group.create_task(_request(cluster.acquire, lambda conn, statement: conn.execute(statement), "SELECT 1"))
        seconds = asyncio.get_running_loop().time() - began
        return driver.open + driver.logins_under_way, seconds


async def _measure(stand: Stand, rounds: int) -> dict[str, tuple[list[int], list[float]]]:
    found: dict[str, tuple[list[int], list[float]]] = {name: ([], []) for name in makers(stand.driver)}
    url = stand.url(0)
    async with open_proxies([Fault(*address(url), stalls=1.0, stall=(_LOGIN, _LOGIN))]) as proxies:
        for _ in range(rounds):
            for name, make in makers(stand.driver).items():
                opened, seconds = await _spike(make, with_port(url, proxies.ports[0]), proxies, _STATEMENTS[stand.driver])
                found[name][0].append(opened)
                found[name][1].append(seconds)
    return found


async def _spike(make: Make, url: str, proxies: Proxies, statement: str) -> tuple[int, float]:
    [before] = await proxies.accepted()
    pool = await make([url], _WARM, _ROOM)
    try:
        await _hold(pool.lease, _WARM)
        await asyncio.sleep(0.3)  # what was given back is reset
        [warm] = await proxies.accepted()
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(_REQUESTS):
                group.create_task(_request(pool.lease, pool.ask, statement))
        seconds = time.perf_counter() - began
        await asyncio.sleep(_LOGIN + 0.1)
        [after] = await proxies.accepted()
        return min(warm - before, _WARM) + after - warm, seconds  # those of a monitor are no leases
    finally:
        await pool.close()


async def _request(lease: Any, ask: Any, statement: str) -> None:
    async with lease() as conn:
        await ask(conn, statement)


async def _hold(lease: Any, count: int) -> None:
    """All at once, so that so many are open afterwards."""
    held = asyncio.Barrier(count)

    async def hold() -> None:
        async with lease():
            await held.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(hold())
