"""What the tests of connecting share: clusters over fake servers whose random choices are the same in every run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from aioclustersql import Cluster
from aioclustersql.events import Event
from aioclustersql.testing import FakeConnection, FakeDriver, Row, scenario

__all__ = [
    "WAYS_TO_RESET",
    "FakeCluster",
    "books",
    "cluster_over",
    "learn",
    "lease",
    "leasing",
    "moment",
    "names_of",
    "now",
    "racing",
    "spend_hedges",
    "start",
    "warm",
]

FakeCluster = Cluster[FakeConnection]

WAYS_TO_RESET = pytest.mark.parametrize("answer", ["read", "usual", "unusual"])
"""In a task; without one, as the answer is the usual one; begun without one, and finished in one (`FakeServer.reset_answer`)."""


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


def cluster_over(driver: FakeDriver, nodes: Mapping[str, str] | None = None, *, seed: int = 1, **settings: Any) -> FakeCluster:
    """A cluster over all servers of `driver`."""
    if nodes is None:
        nodes = {server.name: f"fake://app@{server.name}/test" for server in driver}
    cluster: FakeCluster = Cluster(nodes, driver=driver, **settings)
    cluster._registry.rng.seed(seed)  # among equals the order is random
    return cluster


def racing(*rows: Row, seed: int = 1, swallow_cancel: bool = False, **settings: Any) -> tuple[FakeCluster, FakeDriver]:
    """A cluster over servers told by rows, as in `scenario`."""
    driver, nodes = scenario(*rows, swallow_cancel=swallow_cancel)
    return cluster_over(driver, nodes, seed=seed, **settings), driver


def start(cluster: FakeCluster, **arguments: Any) -> asyncio.Task[FakeConnection]:
    """A caller in a task of his own."""
    return asyncio.create_task(cluster.connect(**arguments))


async def learn(cluster: FakeCluster, driver: FakeDriver, connects: int = 30, **arguments: Any) -> None:
    """Let every node be known well enough for percentiles, hedges be paid for, and all settle; the trace begins anew."""
    for _ in range(connects * len(cluster.nodes)):
        driver.terminate(await cluster.connect(**arguments))
    while cluster.stats().hedge_tokens < 2:
        driver.terminate(await cluster.connect(**arguments))
    await asyncio.sleep(5)
    driver.assert_nothing_open()
    driver.trace.clear()


def spend_hedges(cluster: FakeCluster) -> None:
    """Leave nothing in the budget, as a long bad time does."""
    cluster._engine.connector._budget.tokens = 0.0


def names_of(events: Sequence[Event]) -> list[str]:
    """The kinds of events, in order."""
    return [type(event).__name__ for event in events]


async def moment() -> None:
    """Long enough for whatever takes no time at all, such as an instant reset, and for nothing else."""
    await asyncio.sleep(1 / 1024)


def leasing(cluster: FakeCluster, **arguments: Any) -> asyncio.Task[FakeConnection]:
    """A caller of `acquire` in a task of his own."""
    return asyncio.create_task(cluster.acquire(**arguments))


async def lease(cluster: FakeCluster, count: int, **arguments: Any) -> list[FakeConnection]:
    """So many leases, held at once."""
    return [await cluster.acquire(**arguments) for _ in range(count)]


async def warm(cluster: FakeCluster, count: int, **arguments: Any) -> None:
    """Let so many connections, and no more, be idle; nothing is known yet of how long leases last."""
    pool = cluster._engine.pool_here()
    for conn in await lease(cluster, count, **arguments):
        await cluster.release(conn)
    await asyncio.sleep(1)  # logins that are not needed any more
    idle = [slot for book in pool.ledger.books.values() for slot in book.idle]
    for slot in idle[count:]:
        pool.close(slot)  # type: ignore[arg-type]
    pool.ledger.use = None
    await moment()


def books(cluster: FakeCluster) -> dict[str, tuple[int, int, int, int]]:
    """Per node: idle, leased, returning, connecting."""
    found = cluster._engine.pool_here().ledger.books
    return {name: (len(book.idle), len(book.leased), len(book.returning), book.connecting) for name, book in found.items()}
