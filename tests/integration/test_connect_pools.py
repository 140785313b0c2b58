"""asyncpg's pool, fed by `cluster.connect` in the way that it documents. (SQLAlchemy's is in test_sqlalchemy.)"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from aioclustersql import UnknownNode
from aioclustersql.demo.postgres import PostgresCluster
from tests.integration.support import Postgres

AsyncpgPool: Any = asyncpg.create_pool
"""Without its types: those of the stubs want a `connect` that can be given each of asyncpg's options by name."""

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("postgres_cluster", "no_leaked_sockets")]


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
