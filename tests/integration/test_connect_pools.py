"""Pools of other libraries, fed by `cluster.connect` in the ways that they document."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from aioclustersql import Cluster, UnknownNode
from aioclustersql.demo.postgres import PostgresCluster
from tests.integration.support import Galera, Postgres
from tests.servers.galera import GaleraCluster

AsyncpgPool: Any = asyncpg.create_pool
"""Without its types: those of the stubs want a `connect` that can be given each of asyncpg's options by name."""

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("galera_cluster", "postgres_cluster", "no_leaked_sockets")]


async def test_asyncpgs_pool_gets_its_connections_from_the_cluster(postgres: PostgresCluster) -> None:
    engine = Postgres(postgres)
    async with engine.unwatched(target="read-write") as cluster:
        pool = await AsyncpgPool(connect=cluster.connect, min_size=2, max_size=5, command_timeout=7)
        async with pool:
            async with pool.acquire() as conn:
                assert await conn.fetchval("select pg_is_in_recovery()") is False
                assert cluster.node_of(conn) == "pg1"
                async with conn.transaction():
                    assert await conn.fetchval("select 2 + $1::int", 1) == 3
            with pytest.raises(UnknownNode):
                cluster.node_of(conn)  # given back: a proxy of nothing
            assert await asyncio.gather(*(pool.fetchval("select $1::int", number) for number in range(20))) == list(range(20))
            assert cluster.stats().nodes["pg1"].open == pool.get_size() <= 5
        await engine.wait_left()


async def test_asyncpgs_pool_moves_to_the_new_primary(postgres: PostgresCluster) -> None:
    engine = Postgres(postgres)
    async with engine.unwatched(target="read-write") as cluster, AsyncpgPool(connect=cluster.connect, min_size=2) as pool:
        assert await pool.fetchval("select pg_is_in_recovery()") is False
        await asyncio.to_thread(postgres.nodes[0].kill9)
        await asyncio.to_thread(postgres.nodes[1].promote)
        async with pool.acquire() as conn:
            assert cluster.node_of(conn) == "pg2"
            assert await conn.fetchval("select pg_is_in_recovery()") is False


async def test_an_asyncpg_pool_of_readers(postgres: PostgresCluster) -> None:
    engine = Postgres(postgres)
    async with engine.unwatched() as cluster:
        readers = cluster.with_options(target="standby")
        for _ in range(10):  # a burst on a cold cluster may find a single node that is known
            await (await readers.connect()).close()
        async with AsyncpgPool(connect=readers.connect, min_size=8, max_size=8) as pool, AsyncExitStack() as leases:
            held = [await leases.enter_async_context(pool.acquire()) for _ in range(8)]
            assert set(map(cluster.node_of, held)) == {"pg2", "pg3"}


async def node_of(cluster: Cluster[Any], engine: AsyncEngine) -> str:
    async with engine.connect() as conn:
        raw = await conn.get_raw_connection()
        by_proxy = cluster.node_of(raw)
        assert by_proxy == cluster.node_of(raw.driver_connection)
        return by_proxy


async def test_sqlalchemy_on_asyncpg(postgres: PostgresCluster) -> None:
    async with Postgres(postgres).cluster(target="read-write") as cluster:
        engine = create_async_engine("postgresql+asyncpg://", async_creator=cluster.connect)
        try:
            assert await node_of(cluster, engine) == "pg1"
            async with engine.begin() as conn:
                await conn.execute(text("create table sqlalchemy_rows (id int primary key)"))
            async with engine.begin() as conn:
                await conn.execute(text("insert into sqlalchemy_rows values (:id)"), [{"id": 1}, {"id": 2}])
            async with engine.connect() as conn:
                await conn.execute(text("insert into sqlalchemy_rows values (3)"))
                await conn.rollback()
                assert (await conn.execute(text("select count(*) from sqlalchemy_rows"))).scalar_one() == 2
            async with engine.begin() as conn:
                await conn.execute(text("drop table sqlalchemy_rows"))
        finally:
            await engine.dispose()
    await Postgres(postgres).wait_left()


async def test_a_rollback_through_sqlalchemy_on_aiomysql_leaves_no_row(galera: GaleraCluster) -> None:
    galera.nodes[0].sql("CREATE OR REPLACE TABLE test.sqlalchemy_rows (id INT PRIMARY KEY)")
    async with Galera(galera).cluster() as cluster:
        engine = create_async_engine("mysql+aiomysql://", async_creator=cluster.connect)
        try:
            assert await node_of(cluster, engine) in cluster.nodes
            async with engine.begin() as conn:
                await conn.execute(text("INSERT INTO sqlalchemy_rows VALUES (1)"))
            async with engine.connect() as conn:
                await conn.execute(text("INSERT INTO sqlalchemy_rows VALUES (2)"))
                await conn.rollback()
            async with engine.connect() as conn:
                await conn.execute(text("INSERT INTO sqlalchemy_rows VALUES (3)"))  # nobody commits
        finally:
            await engine.dispose()
    await Galera(galera).wait_left()
    assert galera.nodes[0].sql("SET STATEMENT wsrep_sync_wait=1 FOR SELECT id FROM test.sqlalchemy_rows") == ((1,),)


async def test_a_pool_of_sqlalchemy_spreads_over_the_nodes(galera: GaleraCluster) -> None:
    async with Galera(galera).cluster() as cluster:
        engine = create_async_engine("mysql+aiomysql://", async_creator=cluster.connect, pool_size=12)
        try:
            async with AsyncExitStack() as stack:
                held = [await stack.enter_async_context(engine.connect()) for _ in range(12)]
                spread = Counter([cluster.node_of(await conn.get_raw_connection()) for conn in held])
            assert sorted(spread) == ["node1", "node2", "node3"]
            assert max(spread.values()) <= 6
        finally:
            await engine.dispose()
    await Galera(galera).wait_left()
