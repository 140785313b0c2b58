"""Lost logins are never held against the client: MariaDB blocks a host after max_connect_errors interrupted ones (error 1129).

A server counts them for any address but 127.0.0.1, so the proxies connect from 127.0.0.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aioclustersql import Cluster, ConnectTimeout
from tests.integration.support import Galera, connect_one_by_one, descriptors, settled
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster
from tests.servers.proxy import Proxy

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("galera_cluster", "no_leaked_sockets")]

RACES = 150
CLUSTERS = 25
"""The races run in so many clusters side by side: each bounds its stragglers, and so would let only a few logins lose."""
MAX_CONNECT_ERRORS = 100


@pytest.fixture
def engine(galera: GaleraCluster) -> Galera:
    """Three servers that block a host after a hundred errors."""
    return Galera(galera)


@asynccontextmanager
async def no_complaints(engine: Galera, proxies: list[Proxy]) -> AsyncIterator[None]:
    """Fail when a server counts an error meanwhile, or lets nobody in afterwards."""
    assert [node.sql("SELECT @@max_connect_errors, @@skip_name_resolve") for node in engine.nodes] == [((100, 0),)] * 3
    async with engine.unwatched({"alone": proxies[-1].port}) as cluster:
        await connect_one_by_one(cluster, 1)  # so that the host is known to be counted
    before = await engine.complaints("127.0.0.2")
    yield
    await engine.wait_left()
    assert await engine.complaints("127.0.0.2") == before
    for each in proxies:
        await each.set_mode("ok")
        async with engine.unwatched({"alone": each.port}) as cluster:
            await connect_one_by_one(cluster, 1)
    await engine.wait_left()


async def slow_and_fast(engine: Galera, proxy: MakeProxy, delay: float) -> list[Proxy]:
    """One fast node and two slow ones."""
    return [await proxy(node, delay=each) for node, each in zip(engine.nodes, (0.0, delay, delay), strict=True)]


async def race(cluster: Cluster[object], count: int, timeout: float, delay: float) -> int:
    """Race, let the losers end, which took longer than `delay`, and race again. Returns how many logins lost."""
    for _ in range(count):
        nodes, _ = await connect_one_by_one(cluster, 1, timeout=timeout)
        assert set(nodes) == {"n0"}
        await settled(cluster)
    stats = cluster.stats().nodes
    assert all((stats[name].latency or 0) > delay for name in ("n1", "n2"))
    return sum(node.losses for node in stats.values())


@pytest.mark.parametrize(
    ("delay", "timeout"),
    # A login goes one way three times: the greeting, the password, the welcome.
    [(0.035, 10.0), (0.2, 0.5)],
    ids=["100 ms slower", "slower than the time-out"],
)
async def test_losing_logins_are_not_counted_as_errors(engine: Galera, proxy: MakeProxy, delay: float, timeout: float) -> None:
    proxies = await slow_and_fast(engine, proxy, delay)
    ports = {f"n{number}": each.port for number, each in enumerate(proxies)}

    async def one() -> int:
        async with engine.unwatched(ports, stagger=0) as cluster:
            return await race(cluster, RACES // CLUSTERS, timeout, 3 * delay)

    async with no_complaints(engine, proxies), descriptors() as samples:
        lost = sum(await asyncio.gather(*(one() for _ in range(CLUSTERS))))
    assert lost == 2 * RACES
    # a race has three logins, each with one socket of ours and two of the proxy; and there are those being closed
    assert max(samples) - samples[0] <= 2 * CLUSTERS * 3 * 3


async def test_races_in_quick_succession_pile_up_no_logins(engine: Galera, proxy: MakeProxy) -> None:
    proxies = await slow_and_fast(engine, proxy, 0.1)
    ports = {f"n{number}": each.port for number, each in enumerate(proxies)}
    async with no_complaints(engine, proxies), descriptors() as samples, engine.unwatched(ports, stagger=0) as cluster:
        await connect_one_by_one(cluster, RACES, timeout=0.5)
        assert all(node.stragglers <= 2 for node in cluster.stats().nodes.values())
    # two stragglers on each slow node, the winner, and its predecessors that are being closed
    assert max(samples) - samples[0] <= 40


async def test_callers_that_give_up_interrupt_no_login(engine: Galera, proxy: MakeProxy) -> None:
    proxies = [await proxy(node, delay=0.1) for node in engine.nodes]
    ports = {f"n{number}": each.port for number, each in enumerate(proxies)}

    async def one() -> None:
        async with engine.unwatched(ports) as cluster:
            for _ in range(4):
                with pytest.raises(ConnectTimeout):
                    await cluster.connect(timeout=0.2)
                await settled(cluster)

    async with no_complaints(engine, proxies), descriptors() as samples:
        await asyncio.gather(*(one() for _ in range(CLUSTERS)))
    assert sum(each.accepted for each in proxies) > MAX_CONNECT_ERRORS
    assert max(samples) - samples[0] <= 2 * CLUSTERS * 3 * 3
