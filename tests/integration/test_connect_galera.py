"""Galera: a node outside the primary component never wins, however fast; one that is read_only takes no writes; no standbys."""

from __future__ import annotations

import asyncio

import pytest

from aioclustersql import AllNodesFailed, NodeNotFit
from tests.integration.support import Galera, connect_one_by_one, settled, shares
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("galera_cluster", "no_leaked_sockets")]

WRITABLE = ("any", "read-write", "primary", "prefer-standby")


@pytest.fixture
def engine(galera: GaleraCluster) -> Galera:
    """Three servers."""
    return Galera(galera)


@pytest.mark.parametrize("stagger", ["auto", 0])
async def test_a_node_outside_the_primary_component_never_wins(engine: Galera, proxy: MakeProxy, stagger: object) -> None:
    lost, *others = engine.nodes
    await asyncio.to_thread(lost.isolate)
    slow = [await proxy(node, delay=0.002) for node in others]
    ports = {"lost": lost.port, "slow1": slow[0].port, "slow2": slow[1].port}
    for target in WRITABLE:
        async with engine.unwatched(ports, stagger=stagger) as cluster:
            nodes, _ = await connect_one_by_one(cluster, 100 if target == "read-write" else 5, target=target)
            assert set(nodes) <= {"slow1", "slow2"}
            assert "1047" in (cluster.stats().nodes["lost"].last_error_message or "")


async def test_a_warm_cluster_leaves_a_node_that_leaves_the_primary_component(engine: Galera) -> None:
    lost, *others = engine.nodes
    async with engine.unwatched() as cluster:
        await connect_one_by_one(cluster, 60)
        await asyncio.to_thread(lost.isolate)
        nodes, _ = await connect_one_by_one(cluster, 100)
        assert set(nodes) == {node.name for node in others}
        await settled(cluster)


async def test_three_nodes_outside_the_primary_component_fail_with_each_cause(engine: Galera) -> None:
    await asyncio.gather(*(asyncio.to_thread(node.isolate) for node in engine.nodes))
    async with engine.unwatched() as cluster:
        for target in WRITABLE:
            with pytest.raises(AllNodesFailed) as caught:
                await cluster.connect(target=target)
            assert {name: error.args[0] for name, error in caught.value.errors.items()} == dict.fromkeys(cluster.nodes, 1047)
            assert str(caught.value).count("1047") == 3


async def test_read_only_nodes_take_no_writes(engine: Galera) -> None:
    engine.nodes[0].sql("SET GLOBAL read_only=1")
    async with engine.unwatched() as cluster:
        for target in ("read-write", "read-write"):  # first cold, then from memory
            nodes, _ = await connect_one_by_one(cluster, 30, target=target)
            assert set(nodes) == {"node2", "node3"}
        nodes, _ = await connect_one_by_one(cluster, 5, target="read-only")
        assert set(nodes) == {"node1"}
        nodes, _ = await connect_one_by_one(cluster, 90, target="any")
        assert set(shares(nodes)) == {"node1", "node2", "node3"}


async def test_a_node_that_becomes_read_only_loses_the_writes_at_once(engine: Galera) -> None:
    async with engine.unwatched() as cluster:
        await connect_one_by_one(cluster, 60)
        engine.nodes[1].sql("SET GLOBAL read_only=1")
        nodes, _ = await connect_one_by_one(cluster, 60)
        assert set(nodes) == {"node1", "node3"}
        engine.nodes[1].sql("SET GLOBAL read_only=0")
        engine.nodes[0].sql("SET GLOBAL read_only=1")
        engine.nodes[2].sql("SET GLOBAL read_only=1")
        nodes, _ = await connect_one_by_one(cluster, 10)  # what it remembers is wrong of every node
        assert set(nodes) == {"node2"}


async def test_writes_through_a_read_write_connection_succeed(engine: Galera) -> None:
    engine.nodes[2].sql("SET GLOBAL read_only=1")
    engine.nodes[0].sql("CREATE OR REPLACE TABLE test.connect_writes (id INT PRIMARY KEY)")
    urls = {node.name: engine.dsn(node.port, user="plain:pw") for node in engine.nodes}  # a user who is not above read_only
    async with engine.unwatched() as cluster:
        for name, url in urls.items():
            cluster.update_node(name, url)
        for number in range(30):
            async with cluster.connect(autocommit=True) as conn:
                await conn.query(f"INSERT INTO connect_writes VALUES ({number})")
    assert engine.nodes[0].sql("SELECT COUNT(*) FROM test.connect_writes") == ((30,),)


async def test_there_is_no_standby(engine: Galera) -> None:
    async with engine.unwatched(target="standby") as cluster:
        with pytest.raises(AllNodesFailed, match=r"a Galera node is no standby.*prefer-standby") as caught:
            await cluster.connect()
        assert {type(error) for error in caught.value.errors.values()} == {NodeNotFit}
        with pytest.raises(AllNodesFailed, match="which is not read-only"):
            await cluster.connect(target="read-only")
        nodes, _ = await connect_one_by_one(cluster, 90, target="prefer-standby")
        assert set(nodes) == {"node1", "node2", "node3"}


async def test_a_node_that_rejects_queries_never_wins(engine: Galera) -> None:
    engine.nodes[0].sql("SET GLOBAL wsrep_reject_queries=ALL")
    async with engine.unwatched() as cluster:
        nodes, _ = await connect_one_by_one(cluster, 50)
        assert set(nodes) == {"node2", "node3"}
