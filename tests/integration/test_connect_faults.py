"""Nodes that are silent, gone or hostile, in every pair that leaves one good: nobody notices, and nothing is left afterwards."""

from __future__ import annotations

import asyncio
from itertools import combinations_with_replacement
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, Cluster, ConnectTimeout
from aioclustersql.demo.postgres import PostgresCluster
from tests.integration.support import ENGINES, Engine, Galera, Postgres, between, connect_one_by_one, engine_of, warm_up
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.proxy import Mode, Proxy

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]

FAULTS: tuple[Mode, ...] = ("hang", "refuse", "reset", "backlog")
PAIRS = tuple(combinations_with_replacement(FAULTS, 2))
SOON = 2.0
"""No connect waits for its time-out, which is 10 s here; two silent nodes in front cost half a second."""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers."""
    return engine_of(request)


async def behind(engine: Engine, proxies: list[Proxy], **options: Any) -> Cluster[Any]:
    """A cluster of two nodes behind proxies, and a good one."""
    ports = {f"bad{number}": proxy.port for number, proxy in enumerate(proxies, 1)}
    return engine.unwatched({**ports, "good": engine.nodes[0].port}, **options)


async def connects_go_on(cluster: Cluster[Any], count: int) -> None:
    nodes, slowest = await connect_one_by_one(cluster, count)
    assert nodes == {"good": count}
    assert slowest < SOON


async def test_cold_clusters_connect_to_the_one_good_node(engine: Engine, proxy: MakeProxy) -> None:
    async def one(faults: tuple[Mode, Mode]) -> None:
        proxies = [await between(engine, proxy, node, mode=fault) for node, fault in zip(engine.nodes[1:], faults, strict=True)]
        async with await behind(engine, proxies) as cluster:
            await connects_go_on(cluster, 300 if isinstance(engine, Galera) else 60)

    await asyncio.gather(*map(one, PAIRS))
    await engine.wait_left()


async def test_warm_clusters_lose_two_nodes_and_connect_to_the_third(engine: Engine, proxy: MakeProxy) -> None:
    async def one(faults: tuple[Mode, Mode]) -> None:
        proxies = [await between(engine, proxy, node) for node in engine.nodes[1:]]
        async with await behind(engine, proxies) as cluster:
            await warm_up(cluster)
            for each, fault in zip(proxies, faults, strict=True):
                await each.set_mode(fault)
            await connects_go_on(cluster, 300 if isinstance(engine, Galera) else 60)

    await asyncio.gather(*map(one, PAIRS))
    await engine.wait_left()


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("silent", [False, True], ids=["healthy", "silent"])
async def test_a_stopped_server_costs_no_connect(engine: Engine, proxy: MakeProxy, warm: bool, silent: bool) -> None:
    good, stopped, third = engine.nodes
    relay = await between(engine, proxy, third)
    async with engine.unwatched(
        {"good": good.port, "stopped": stopped.port, "third": relay.port if silent else third.port}
    ) as cluster:
        if warm:
            await warm_up(cluster)
        stopped.freeze()
        await relay.set_mode("hang")
        nodes, slowest = await connect_one_by_one(cluster, 300)
        assert set(nodes) == ({"good"} if silent else {"good", "third"})
        assert slowest < SOON
    stopped.thaw()
    await engine.wait_left()


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
async def test_two_stopped_standbys_cost_no_connect(postgres: PostgresCluster, warm: bool) -> None:
    engine = Postgres(postgres)
    async with engine.unwatched() as cluster:
        if warm:
            await warm_up(cluster)
        for standby in postgres.standbys:
            standby.freeze()
        nodes, slowest = await connect_one_by_one(cluster, 100)
        assert nodes == {"pg1": 100}
        assert slowest < SOON
    for standby in postgres.standbys:
        standby.thaw()
    await engine.wait_left()


async def test_when_all_fail_the_error_says_how_each_did(engine: Engine, proxy: MakeProxy) -> None:
    async def one(fault: Mode) -> None:
        proxies = {node.name: await between(engine, proxy, node, mode=fault) for node in engine.nodes}
        async with engine.unwatched({name: each.port for name, each in proxies.items()}) as cluster:
            with pytest.raises((AllNodesFailed, ConnectTimeout)) as caught:
                await cluster.connect(timeout=0.5)
        assert isinstance(caught.value, ConnectTimeout) is (fault in ("hang", "backlog"))
        for name, each in proxies.items():
            assert f"{name} (127.0.0.1:{each.port}): " in str(caught.value)

    await asyncio.gather(*map(one, FAULTS))
    await engine.wait_left()


async def test_one_silent_and_two_refusing_nodes_time_out_with_all_causes(engine: Engine, proxy: MakeProxy) -> None:
    proxies = [await between(engine, proxy, node, mode="refuse") for node in engine.nodes]
    await proxies[1].set_mode("hang")
    async with engine.unwatched({f"n{number}": each.port for number, each in enumerate(proxies)}) as cluster:
        with pytest.raises(ConnectTimeout, match=r"n1 \(127\.0\.0\.1:\d+\): logging in for 0\.\d+ s, no answer") as caught:
            await cluster.connect(timeout=0.5)
    assert set(caught.value.errors) == {"n0", "n2"}
    await engine.wait_left()


async def test_nodes_that_come_back_are_used_again(engine: Engine, proxy: MakeProxy) -> None:
    proxies = {node.name: await between(engine, proxy, node) for node in engine.nodes}
    async with engine.unwatched({name: each.port for name, each in proxies.items()}) as cluster:
        await warm_up(cluster)
        good, refusing, resetting = proxies
        await proxies[refusing].set_mode("refuse")
        await proxies[resetting].set_mode("reset")
        nodes, slowest = await connect_one_by_one(cluster, 20)
        assert nodes == {good: 20}
        assert slowest < SOON
        for each in proxies.values():
            await each.set_mode("ok")
        seen: set[str] = set()
        async with asyncio.timeout(10):  # the breaker opens for half a second first, and for at most five
            while seen != set(proxies):
                nodes, _ = await connect_one_by_one(cluster, 10)
                seen |= set(nodes)
                await asyncio.sleep(0.05)
    await engine.wait_left()
