"""What the tests of `connect` on real servers share: engines from fixtures, many connects one after another, what is left open.

Not the servers (tests/servers), not the engines (chaos/engine.py), not the promises (test_connect_*.py).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aioclustersql import Cluster
from aioclustersql.events import Event
from chaos.engine import ENGINES, Engine, Galera, Postgres, until
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.proxy import Proxy

__all__ = [
    "ENGINES",
    "Engine",
    "Galera",
    "Postgres",
    "between",
    "close_all",
    "connect_one_by_one",
    "descriptors",
    "engine_of",
    "settled",
    "shares",
    "until",
    "warm_up",
    "watch",
]


def engine_of(request: pytest.FixtureRequest) -> Engine:
    """For a fixture with the parameters `ENGINES`: the engine of that name, its servers started."""
    servers = request.getfixturevalue(request.param)
    return Galera(servers) if request.param == "galera" else Postgres(servers)


async def between(engine: Engine, make: MakeProxy, node: Any, **options: Any) -> Proxy:
    """A proxy before a node."""
    return await make(node, source=engine.source, **options)


async def warm_up(cluster: Cluster[Any], count: int = 60) -> None:
    """Connect so often that every node has been measured and, where they are equal, is known well."""
    await connect_one_by_one(cluster, count)
    await settled(cluster)
    unmeasured = [name for name, node in cluster.stats().nodes.items() if node.latency is None]
    assert not unmeasured


async def connect_one_by_one(cluster: Cluster[Any], count: int, **options: Any) -> tuple[Counter[str], float]:
    """Open and close so many connections; how many were on each node, and how many seconds the slowest connect took."""
    loop = asyncio.get_running_loop()
    nodes: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(count):
        began = loop.time()
        async with cluster.connect(**options) as conn:
            slowest = max(slowest, loop.time() - began)
            nodes[cluster.node_of(conn)] += 1
    return nodes, slowest


async def settled(cluster: Cluster[Any]) -> None:
    """Wait until no login of the cluster is under way."""

    async def quiet() -> bool:
        return all(node.connecting == 0 for node in cluster.stats().nodes.values())

    await until(quiet, "logins are under way")


def watch(cluster: Cluster[Any], *kinds: type[Event]) -> list[Any]:
    """The events of these classes from now on."""
    seen: list[Any] = []

    def listen(event: Event) -> None:
        if isinstance(event, kinds):
            seen.append(event)

    cluster.subscribe(listen)
    return seen


def shares(nodes: Counter[str]) -> dict[str, float]:
    """Each node's part of the whole, in percent."""
    return {name: 100 * count / nodes.total() for name, count in sorted(nodes.items())}


@asynccontextmanager
async def descriptors(interval: float = 0.02) -> AsyncIterator[list[int]]:
    """Samples of how many descriptors this process has open, taken all the while."""
    samples = [_descriptors()]

    async def sample() -> None:
        while True:
            samples.append(_descriptors())
            await asyncio.sleep(interval)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
        await asyncio.wait([task])


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a sample should cost little


async def close_all(engine: Engine, conns: Iterable[Any]) -> None:
    """Close them side by side."""
    await asyncio.gather(*(engine.close(conn) for conn in conns))
