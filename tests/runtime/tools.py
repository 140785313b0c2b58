"""What the tests of connecting share: clusters over fake servers whose random choices are the same in every run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aioclustersql import Cluster
from aioclustersql.events import Event
from aioclustersql.testing import FakeConnection, FakeDriver, Row, scenario

__all__ = ["FakeCluster", "cluster_over", "learn", "names_of", "now", "racing", "spend_hedges", "start"]

FakeCluster = Cluster[FakeConnection]


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
