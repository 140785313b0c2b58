"""SQLAlchemy's engines on a cluster whose nodes are demoted, drained, killed and promoted; engines that read from standbys."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.node import Role
from aioclustersql.sqlalchemy import create_async_engine, node_of, run
from tests.integration.alchemy import Base, Stand, add, keys, stand
from tests.integration.support import until
from tests.servers.galera import GaleraCluster

pytestmark = pytest.mark.integration

no_leaks = pytest.mark.usefixtures("no_leaked_sockets")


async def held(here: Stand, times: int) -> Counter[str]:
    """On which nodes so many sessions are at once."""
    async with AsyncExitStack() as stack:
        return Counter([await node_of(await stack.enter_async_context(here.sessions())) for _ in range(times)])


@no_leaks
async def test_a_demoted_node_gets_no_write_more_and_the_others_keep_their_connections(galera: GaleraCluster) -> None:
    written: list[tuple[str, str]] = []
    over = False

    async def unit(session: AsyncSession, key: str) -> str:
        node = await node_of(session)
        await add(session, key)
        return node

    async def write(writer: int) -> None:
        number = 0
        while not over:
            number += 1
            key = f"{writer}.{number}"
            written.append((key, await run(here.sessions, unit, key)))

    galera.nodes[0].sql("CREATE OR REPLACE TABLE test.alchemy_rows (id BIGINT AUTO_INCREMENT PRIMARY KEY, k VARCHAR(40))")
    options: dict[str, Any] = {"password": "pw", "init_command": "SET wsrep_sync_wait=1"}
    async with stand("aiomysql", galera, user="plain", pool_size=9, connect_options=options) as here:
        before = await held(here, 9)
        assert sorted(before) == ["node1", "node2", "node3"]
        opened = {conn: here.cluster.node_of(conn) for conn in here.opened}
        async with asyncio.TaskGroup() as group:
            for writer in range(5):
                group.create_task(write(writer))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(galera.nodes[0].sql, "SET GLOBAL read_only=1")
            since = len(written)
            async with asyncio.timeout(5):  # on a busy machine the monitor may see it later than the writers
                while len(written) <= since + 60 or here.cluster.stats().nodes["node1"].role is not Role.READ_ONLY:
                    await asyncio.sleep(0.02)
            over = True
        late = {key for key, node in written[since + 10 :] if node == "node1"}  # those under way may have passed before
        assert late == set()
        assert await asyncio.to_thread(keys, here) == sorted(key for key, _ in written)
        after = await held(here, 9)
        assert "node1" not in after
        healthy = [conn for conn, node in opened.items() if node != "node1"]
        assert [conn for conn in healthy if here.cluster._engine.registry.driver.is_closed(conn)] == []
        assert len(here.opened) == 9 + before["node1"], "each connection to the demoted node was replaced once, and no other"


@no_leaks
async def test_sessions_find_the_new_primary_by_themselves(postgres: PostgresCluster) -> None:
    async with stand("asyncpg", postgres, pool_size=4) as here:
        async with here.engine.begin() as conn:
            await conn.run_sync(Base.metadata.drop_all)
            await conn.run_sync(Base.metadata.create_all)
        assert await held(here, 4) == Counter(pg1=4)
        standby = postgres.standbys[0]
        await asyncio.to_thread(postgres.wait_replayed)
        await asyncio.to_thread(postgres.primary.freeze)  # what is pooled there looks open
        promotion = asyncio.create_task(asyncio.to_thread(standby.promote))
        await asyncio.gather(*(run(here.sessions, add, f"key {number}") for number in range(8)))
        await promotion
        assert await held(here, 4) == Counter({standby.name: 4})
        assert len(await asyncio.to_thread(keys, here, standby)) == 8


@no_leaks
async def test_a_node_is_drained_of_what_lies_idle_in_the_pool_too(postgres: PostgresCluster) -> None:
    async with stand("asyncpg", postgres, pool_size=9, target="any") as here:
        await here.cluster.wait_ready(nodes=3)
        before = await held(here, 9)
        assert sorted(before) == ["pg1", "pg2", "pg3"]
        async with here.sessions() as session:
            used = await node_of(session)
            draining = asyncio.create_task(here.cluster.drain_node(used, timeout=10))
            await asyncio.sleep(0.1)
            assert not draining.done()
            assert await session.scalar(text("SELECT 1")) == 1
        assert await draining == 0
        assert used not in await held(here, 9)
        assert len(here.opened) == 9 + before[used]


# --- reading from standbys ------------------------------------------------------------------------------------------------


@no_leaks
async def test_one_session_reads_from_standbys_and_another_writes_to_the_primary(postgres: PostgresCluster) -> None:
    async with stand("asyncpg", postgres) as here:
        await asyncio.to_thread(here.cluster.is_ready)
        reader = create_async_engine(here.cluster, target="standby")
        try:
            async with here.sessions() as session:
                assert await node_of(session) == "pg1"
            async with here.sessions(bind=reader) as session:
                assert await node_of(session) in ("pg2", "pg3")
            async with here.sessions() as session:
                standby = await session.scalar(text("SELECT pg_is_in_recovery()"), bind_arguments={"bind": reader.sync_engine})
                assert standby is True
                assert await session.scalar(text("SELECT pg_is_in_recovery()")) is False
            with pytest.raises(DBAPIError, match="read-only transaction"):
                await run(async_sessionmaker(reader), lambda session: session.execute(text("CREATE TABLE nothing ()")))
        finally:
            await reader.dispose()


@no_leaks
async def test_readers_return_to_the_standby_that_comes_back(postgres: PostgresCluster) -> None:
    standby = postgres.standbys[0]
    ports = {node.name: node.port for node in (postgres.primary, standby)}
    async with stand("asyncpg", postgres, ports, target="prefer-standby") as here:

        async def on_standby() -> bool:
            async with here.sessions() as session:
                return await node_of(session) == standby.name

        await until(on_standby, "nobody reads from the standby")
        await asyncio.to_thread(standby.kill9)
        assert not await on_standby()
        await asyncio.to_thread(standby.start)
        await until(on_standby, "the reader stays on the primary")
