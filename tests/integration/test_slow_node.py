"""Leases keep away from a slow node, and come back when it has healed. Proxies make every node as far away as it is.

Ratios are asserted, never times: both sides of each are measured at the same time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from aioclustersql import Cluster
from tests.integration.support import ENGINES, Engine, between, engine_of, shares, until
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.proxy import Proxy

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("servers_started", "no_leaked_sockets"),
]

NEAR, SLOW = 0.008, 0.16
"""Seconds each way: more than a machine's noise, and 20 times that."""
TASKS, SIZE = 6, 8


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers."""
    return engine_of(request)


async def proxies_of(engine: Engine, proxy: MakeProxy) -> dict[str, Proxy]:
    """One before each node, all of them equally near."""
    return {node.name: await between(engine, proxy, node, delay=NEAR) for node in engine.nodes}


async def ask(engine: Engine, cluster: Cluster[Any], seconds: float) -> tuple[list[float], Counter[str]]:
    """Acquire and ask, in some tasks, for so long: how long each took, in order of length, and how often each node was asked."""
    loop = asyncio.get_running_loop()
    stop, took, nodes = loop.time() + seconds, list[float](), Counter[str]()

    async def work() -> None:
        while (began := loop.time()) < stop:
            async with cluster.acquire() as conn:
                await engine.value(conn, "SELECT 1")
                nodes[cluster.node_of(conn)] += 1
            took.append(loop.time() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(work())
    return sorted(took), nodes


def p99(took: list[float]) -> float:
    """The 99th percentile."""
    return took[int(0.99 * len(took))]


async def filled(cluster: Cluster[Any], count: int) -> None:
    """Until every node is known and has so many connections."""

    async def full() -> bool:
        return all(node.observed and node.round_trip and node.idle >= count for node in cluster.stats().nodes.values())

    await until(full, f"the pool is not filled: {cluster!r}")


async def test_a_slow_node_hardly_shows_and_is_used_again_when_it_has_healed(engine: Engine, proxy: MakeProxy) -> None:
    proxies = await proxies_of(engine, proxy)
    ports = {name: each.port for name, each in proxies.items()}
    *_, slow = ports
    async with AsyncExitStack() as stack:

        async def opened(ports: dict[str, int]) -> Cluster[Any]:
            cluster = await stack.enter_async_context(engine.cluster(ports, min_size=SIZE, max_size=SIZE))
            await filled(cluster, SIZE)
            return cluster

        two = await opened({name: port for name, port in ports.items() if name != slow})
        three = await opened(ports)
        await proxies[slow].set_mode("delay", SLOW)
        await ask(engine, three, 1.0)  # so that it is known to be slow
        (without, _), (with_it, _) = await asyncio.gather(ask(engine, two, 1.5), ask(engine, three, 1.5))
        await proxies[slow].set_mode("delay", NEAR)
        await ask(engine, three, 2.0)
        _, healed = await ask(engine, three, 1.0)
    assert p99(with_it) <= 1.5 * p99(without)
    assert shares(healed)[slow] >= 22
    await engine.wait_left()


async def test_equal_nodes_have_equal_shares(engine: Engine, proxy: MakeProxy) -> None:
    ports = {name: each.port for name, each in (await proxies_of(engine, proxy)).items()}
    async with engine.cluster(ports, min_size=SIZE, max_size=SIZE) as cluster:
        await filled(cluster, SIZE)
        _, nodes = await ask(engine, cluster, 2.0)
    assert {name: share for name, share in shares(nodes).items() if not 28 <= share <= 39} == {}
    assert len(nodes) == 3
    await engine.wait_left()
