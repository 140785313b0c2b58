"""What the monitor costs while nothing is asked: CPU of the client for each second, over 1 to 30 nodes, with it and without."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import hasql.asyncpg

from aioclustersql import Cluster
from bench.context import Context
from bench.peers import multi_host
from bench.result import Cell, Outcome, Table, remarks

__all__ = ["measure"]

_NODES = (3, 30)
_HEAD = ("driver", "nodes", "library", "CPU ms/s", "CPU ms/s and node")
_WITH, _WITHOUT, _HASQL = "aioclustersql", "aioclustersql, no monitor", "hasql"
_REASONS = {
    _HASQL: "a probe of ours asks role, readiness, timeline and lag, and hasql's only whether transactions are read only",
}
_hasql_asyncpg: Any = hasql.asyncpg
Open = Callable[[Sequence[str]], Awaitable[Callable[[], Awaitable[Any]]]]


def measure(context: Context) -> Outcome:
    """The row."""
    outcome = Outcome("monitor", "What the monitor costs")
    rows: list[Sequence[Cell]] = []
    for driver in context.drivers:
        stand = context.stand(driver)
        for nodes in _NODES:
            urls = [stand.url(number) for number in range(nodes)]
            ways: dict[str, Open] = {_WITH: _monitored, _WITHOUT: _unmonitored}
            if driver == "asyncpg":
                ways[_HASQL] = _hasql
            found = {name: context.run(_idle(way, urls, 1.0 if context.quick else 5.0)) for name, way in ways.items()}
            rows += [[driver, nodes, name, 1e3 * cpu, 1e3 * cpu / nodes] for name, cpu in found.items()]
            context.say(f"{driver}, {nodes} nodes: " + ", ".join(f"{name} {1e3 * cpu:.2f} ms/s" for name, cpu in found.items()))
            others = {name: cpu for name, cpu in found.items() if name == _HASQL}
            outcome.remarks += remarks(f"{driver}, {nodes} nodes, CPU while idle", found[_WITH], others, _REASONS)
    outcome.tables = [Table("An open cluster that nobody uses", _HEAD, rows, "All nodes are up; each is asked once a second.")]
    return outcome


async def _idle(way: Open, urls: Sequence[str], seconds: float) -> float:
    """CPU seconds per second, once everything is open."""
    close = await way(urls)
    try:
        await asyncio.sleep(1.5)  # logins and first questions are over
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        return (time.process_time() - cpu) / (time.perf_counter() - began)
    finally:
        await close()


async def _monitored(urls: Sequence[str]) -> Callable[[], Awaitable[Any]]:
    return await _cluster(urls, 1.0)


async def _unmonitored(urls: Sequence[str]) -> Callable[[], Awaitable[Any]]:
    return await _cluster(urls, None)


async def _cluster(urls: Sequence[str], interval: float | None) -> Callable[[], Awaitable[Any]]:
    nodes = {f"node{number}": url for number, url in enumerate(urls)}
    # Addresses of one primary are many primaries, of which none is the true one: only with this target is the cluster at rest.
    cluster: Cluster[Any] = Cluster(nodes, target="any", min_size=1, monitor_interval=interval)
    await cluster.open()
    return cluster.close


async def _hasql(urls: Sequence[str]) -> Callable[[], Awaitable[Any]]:
    manager: Any = _hasql_asyncpg.PoolManager(multi_host(urls))
    await manager.ready(timeout=30)
    closing: Callable[[], Awaitable[Any]] = manager.close
    return closing
