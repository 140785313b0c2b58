"""PostgreSQL: each target gives a node of its kind, also right after a promotion, when all that is remembered is wrong.

What a node is, the test asks of every connection itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, Cluster, NodeNotFit
from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.events import RoleChanged
from tests.integration.support import Postgres, warm_up, watch

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("postgres_cluster", "no_leaked_sockets")]

WRITABLE = ("read-write", "primary")


@pytest.fixture
def engine(postgres: PostgresCluster) -> Postgres:
    """A primary and two standbys."""
    return Postgres(postgres)


async def ask(cluster: Cluster[Any], count: int, target: str, **options: Any) -> Counter[str]:
    """Connect so often; how many were on each node. Every node said itself whether it is in recovery."""
    nodes: Counter[str] = Counter()
    for _ in range(count):
        async with cluster.connect(target=target, **options) as conn:
            standby = await conn.fetchval("select pg_is_in_recovery()")
            if target in WRITABLE:
                assert standby is False
            elif target in ("standby", "read-only"):
                assert standby is True
            nodes[cluster.node_of(conn)] += 1
    return nodes


@pytest.mark.parametrize("stagger", ["auto", 0])
async def test_every_target_gives_its_kind_cold_and_warm(engine: Postgres, stagger: object) -> None:
    everyone, standbys = {"pg1", "pg2", "pg3"}, {"pg2", "pg3"}
    wanted = {
        "read-write": {"pg1"},
        "primary": {"pg1"},
        "standby": standbys,
        "read-only": standbys,
        "prefer-standby": standbys,
        "any": everyone,
    }
    for target, nodes in wanted.items():
        async with engine.unwatched(stagger=stagger) as cluster:
            counted = await ask(cluster, 1, target) + await ask(cluster, 30, target)
            if target == "prefer-standby":  # when both standbys are slow at the same moment, the primary will do
                assert counted["pg1"] <= 2
            else:
                assert set(counted) <= nodes
                async with asyncio.timeout(20):  # one that was slow at first is measured again, sooner or later
                    while stagger == "auto" and set(counted) != nodes:
                        counted += await ask(cluster, 10, target)


async def test_the_first_callers_of_a_cold_cluster_get_their_kind_whichever_way_they_ask(engine: Postgres) -> None:
    async def leased(cluster: Cluster[Any], target: str) -> tuple[str, bool]:
        async with cluster.acquire(target=target) as conn:
            return target, await conn.fetchval("select pg_is_in_recovery()")

    async def connected(cluster: Cluster[Any], target: str) -> tuple[str, bool]:
        async with cluster.connect(target=target) as conn:
            return target, await conn.fetchval("select pg_is_in_recovery()")

    for _ in range(25):
        async with engine.cluster() as cluster:
            asked = (way(cluster, target) for way in (connected, leased) for target in ("standby", "read-write"))
            told = await asyncio.gather(*asked)
        assert told == [("standby", True), ("read-write", False)] * 2


async def test_targets_take_turns_on_one_cluster(engine: Postgres) -> None:
    async with engine.unwatched() as cluster:
        await warm_up(cluster)
        for _ in range(20):
            assert set(await ask(cluster, 1, "read-write")) == {"pg1"}
            assert set(await ask(cluster, 1, "standby")) <= {"pg2", "pg3"}


@pytest.mark.parametrize("demotion", ["killed", "stopped", "frozen"])
async def test_after_a_promotion_the_new_primary_is_found(postgres: PostgresCluster, engine: Postgres, demotion: str) -> None:
    old, new, _ = postgres.nodes
    async with engine.unwatched() as cluster:
        await warm_up(cluster)
        assert set(await ask(cluster, 5, "read-write")) == {"pg1"}
        assert set(await ask(cluster, 5, "standby")) <= {"pg2", "pg3"}
        roles = watch(cluster, RoleChanged)
        await asyncio.to_thread({"killed": old.kill9, "stopped": old.stop, "frozen": old.freeze}[demotion])
        await asyncio.to_thread(new.promote)
        assert set(await ask(cluster, 20, "read-write")) == {"pg2"}
        assert set(await ask(cluster, 20, "standby")) == {"pg3"}
        assert [(event.node, event.old, event.new) for event in roles] == [("pg2", "standby", "primary")]


async def test_what_is_remembered_of_every_node_is_wrong(postgres: PostgresCluster, engine: Postgres) -> None:
    old, new, _ = postgres.nodes
    async with engine.unwatched() as cluster:
        await warm_up(cluster)
        await asyncio.to_thread(old.kill9)
        await asyncio.to_thread(new.promote)
        await asyncio.to_thread(old.rejoin, new)
        for target, nodes in {"standby": {"pg1", "pg3"}, "read-write": {"pg2"}, "prefer-standby": {"pg1", "pg3"}}.items():
            assert set(await ask(cluster, 40, target)) <= nodes


async def test_without_a_primary_nothing_is_writable_and_standbys_serve(postgres: PostgresCluster, engine: Postgres) -> None:
    async with engine.unwatched() as cluster:
        await warm_up(cluster)
        await asyncio.to_thread(postgres.primary.kill9)
        with pytest.raises(AllNodesFailed, match="its role is standby, which is not read-write") as caught:
            await cluster.connect(target="read-write")
        assert {name: type(error) for name, error in caught.value.errors.items()} == {
            "pg1": ConnectionRefusedError,
            "pg2": NodeNotFit,
            "pg3": NodeNotFit,
        }
        assert set(await ask(cluster, 10, "any")) <= {"pg2", "pg3"}


async def test_waiting_for_a_primary_ends_with_the_promotion(postgres: PostgresCluster, engine: Postgres) -> None:
    async with engine.unwatched() as cluster:
        await warm_up(cluster)
        await asyncio.to_thread(postgres.primary.kill9)
        waiting = asyncio.create_task(ask(cluster, 1, "read-write", wait=True, timeout=20))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await asyncio.to_thread(postgres.nodes[2].promote)
        assert set(await waiting) == {"pg3"}


async def test_without_standbys_prefer_standby_takes_the_primary(postgres: PostgresCluster, engine: Postgres) -> None:
    for node in postgres.standbys:
        await asyncio.to_thread(node.kill9)
    async with engine.unwatched() as cluster:
        for _ in range(10):
            async with cluster.connect(target="prefer-standby") as conn:
                assert cluster.node_of(conn) == "pg1"
        with pytest.raises(AllNodesFailed, match="its role is primary, which is not standby; target='prefer-standby'"):
            await cluster.connect(target="standby")


async def test_a_primary_that_is_read_only_by_default_takes_no_writes(postgres: PostgresCluster, engine: Postgres) -> None:
    async with Cluster({"pg1": f"{engine.dsn(postgres.nodes[0].port)}?default_transaction_read_only=on"}) as cluster:
        for target in WRITABLE:
            with pytest.raises(AllNodesFailed, match=f"its role is read-only, which is not {target}"):
                await cluster.connect(target=target)
        for target in ("read-only", "any"):
            async with cluster.connect(target=target) as conn:
                assert await conn.fetchval("show transaction_read_only") == "on"


async def test_libpqs_word_in_a_url_of_several_hosts_sets_the_target(engine: Postgres) -> None:
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in engine.nodes)
    async with Cluster(f"postgresql://postgres@{hosts}/postgres?target_session_attrs=standby") as cluster:
        assert cluster.nodes == tuple(sorted(f"127.0.0.1:{node.port}" for node in engine.nodes))
        async with cluster.connect() as conn:
            assert await conn.fetchval("select pg_is_in_recovery()") is True
