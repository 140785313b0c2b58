"""SQLAlchemy's asyncio engines and sessions on a cluster: the same promises on every dialect, met on real servers."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.ext.asyncio import create_async_engine as plain_engine

from aioclustersql import AcquireTimeout, ConfigError, TransactionOutcomeUnknown, UnknownNode
from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.sqlalchemy import create_async_engine, node_of, run
from tests.integration.alchemy import DRIVERS, Base, Row, Stand, keys, stand
from tests.integration.support import until
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster

pytestmark = pytest.mark.integration

no_leaks = pytest.mark.usefixtures("no_leaked_sockets")


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """Each dialect."""
    return str(request.param)


@pytest.fixture
def servers(request: pytest.FixtureRequest, driver: str) -> Any:
    """The servers of that dialect, with an empty table."""
    found = request.getfixturevalue(DRIVERS[driver])
    if isinstance(found, PostgresCluster):
        found.primary.sql("drop table if exists alchemy_rows; create table alchemy_rows (id bigserial primary key, k text)")
        found.wait_replayed()
    else:
        found.nodes[0].sql("CREATE OR REPLACE TABLE test.alchemy_rows (id BIGINT AUTO_INCREMENT PRIMARY KEY, k VARCHAR(40))")
        for node in found.nodes:
            node.causal_read()
    request.getfixturevalue("no_leaked_sockets")  # from here on: the servers' own are no leak
    return found


async def add(session: AsyncSession, key: str) -> Row:
    row = Row(k=key)
    session.add(row)
    return row


# --- the engine -----------------------------------------------------------------------------------------------------------


async def test_a_session_does_what_sessions_do(driver: str, servers: Any) -> None:
    async with stand(driver, servers, connect_options={"autocommit": True} if DRIVERS[driver] == "galera" else {}) as here:
        async with here.sessions.begin() as session:
            await add(session, "kept")
        async with here.sessions() as session:
            await add(session, "rolled back")
            await session.flush()
            await session.rollback()
            await add(session, "not committed")
            await session.flush()
        async with here.sessions.begin() as session:
            unchanged = await session.execute(update(Row).where(Row.k == "kept").values(k="kept"))
            assert unchanged.rowcount == 1  # type: ignore[attr-defined]
            assert await node_of(session) in here.cluster.nodes
            assert here.cluster.node_of(await (await session.connection()).get_raw_connection()) == await node_of(session)
        with pytest.raises(IntegrityError):
            async with here.sessions.begin() as session:
                session.add_all([Row(id=7, k="a"), Row(id=7, k="b")])
        assert await asyncio.to_thread(keys, here) == ["kept"]
        assert len(here.opened) == 1, "an error of a statement cost a connection"
    await here.servers.wait_left()


@no_leaks
async def test_what_is_not_for_an_engine_on_a_cluster_is_refused(postgres: PostgresCluster) -> None:
    async with stand("asyncpg", postgres) as here:
        for name in ("url", "creator", "async_creator", "pool_pre_ping"):
            options: dict[str, Any] = {name: True}
            with pytest.raises(ConfigError, match=f"{name} is not for an engine on a cluster"):
                create_async_engine(here.cluster, **options)
        stranger = plain_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
        with pytest.raises(ConfigError, match=r"was not made by aioclustersql\.sqlalchemy\.create_async_engine"):
            await run(async_sessionmaker(stranger), add, "key")
        async with plain_engine("postgresql+asyncpg://", async_creator=here.cluster.connect).connect() as conn:
            with pytest.raises(UnknownNode):
                await node_of(conn)
            await conn.invalidate()


# --- run ------------------------------------------------------------------------------------------------------------------


async def test_run_commits_a_unit_and_returns_its_result(driver: str, servers: Any) -> None:
    async with stand(driver, servers) as here:
        row = await run(here.sessions, add, "one")
        assert row.k == "one"
        assert isinstance(row.id, int)
        with pytest.raises(ZeroDivisionError):
            await run(here.sessions, failing, "two")
        assert await run(here.sessions, count, readonly=True) == 1
        with pytest.raises(DBAPIError):
            await run(here.sessions, add, "three", readonly=True)
        async with here.sessions.begin() as session:  # on the connection that was used before
            await add(session, "four")
            await session.flush()
            await session.rollback()
        assert await asyncio.to_thread(keys, here) == ["one"]


async def failing(session: AsyncSession, key: str) -> None:
    await add(session, key)
    await session.flush()
    raise ZeroDivisionError


async def count(session: AsyncSession) -> int:
    return len((await session.scalars(select(Row))).all())


async def test_run_runs_a_unit_again_whose_connection_was_lost(driver: str, servers: Any) -> None:
    runs: list[str] = []

    async def unit(session: AsyncSession) -> None:
        runs.append(await node_of(session))
        await add(session, f"run {len(runs)}")
        if len(runs) == 1:
            await session.flush()
            await kill(session, here)
        await session.execute(text("SELECT 1"))

    async with stand(driver, servers) as here:
        await run(here.sessions, unit)
        assert (len(runs), await asyncio.to_thread(keys, here)) == (2, ["run 2"])


async def kill(session: AsyncSession, here: Stand) -> None:
    postgres = DRIVERS[here.cluster._engine.registry.driver.name] == "postgres"
    number = await session.scalar(text("SELECT pg_backend_pid()" if postgres else "SELECT CONNECTION_ID()"))
    name = await node_of(session)
    node = next(each for each in here.servers.nodes if each.name == name)
    await asyncio.to_thread(node.sql, f"select pg_terminate_backend({number})" if postgres else f"KILL {number}")


async def test_run_runs_a_deadlock_at_flush_again(driver: str, servers: Any) -> None:
    met = asyncio.Barrier(2)
    runs: Counter[str] = Counter()

    async def unit(session: AsyncSession, name: str, first: int, second: int) -> None:
        runs[name] += 1
        rows = {row.id: row for row in await session.scalars(select(Row))}
        rows[first].k += name
        await session.flush()
        if runs[name] == 1:
            await met.wait()
        rows[second].k += name  # flushed after the unit: there it meets the other one

    only = servers.nodes[0] if DRIVERS[driver] == "galera" else servers.primary
    async with stand(driver, servers, {only.name: only.port}) as here:
        async with here.sessions.begin() as session:
            session.add_all([Row(id=1, k=""), Row(id=2, k="")])
        async with asyncio.TaskGroup() as group:
            group.create_task(run(here.sessions, unit, "a", 1, 2))
            group.create_task(run(here.sessions, unit, "b", 2, 1))
        assert sorted(runs.values()) == [1, 2]
        assert {"".join(sorted(key)) for key in await asyncio.to_thread(keys, here)} == {"ab"}


async def test_run_tells_when_nobody_knows_whether_it_was_committed(driver: str, servers: Any, proxy: MakeProxy) -> None:
    node = servers.nodes[0] if DRIVERS[driver] == "galera" else servers.primary
    through = await proxy(node, source="127.0.0.1" if DRIVERS[driver] == "postgres" else "127.0.0.2")
    runs = []

    async def unit(session: AsyncSession) -> None:
        runs.append(await add(session, "unknown"))
        await session.flush()
        await through.set_mode("hang")
        asyncio.get_running_loop().call_later(0.05, through.drop)

    async with stand(driver, servers, {"through": through.port}, monitor_interval=None) as here:
        with pytest.raises(TransactionOutcomeUnknown, match="on node through: COMMIT was sent"):
            await run(here.sessions, unit)
        assert len(runs) == 1


async def test_run_never_runs_what_has_ended_its_transaction_again(driver: str, servers: Any) -> None:
    runs = []

    async def unit(session: AsyncSession) -> None:
        runs.append(await add(session, "committed early"))
        await session.commit()
        await kill(session, here)
        await session.execute(text("SELECT 1"))

    async with stand(driver, servers) as here:
        with pytest.raises(TransactionOutcomeUnknown, match="COMMIT or ROLLBACK of its own"):
            await run(here.sessions, unit)
        assert len(runs) == 1


@no_leaks
async def test_run_sees_an_implicit_commit(galera: GaleraCluster) -> None:
    async def unit(session: AsyncSession) -> None:
        await session.execute(text("CREATE OR REPLACE TABLE test.alchemy_ddl (id INT)"))
        await session.execute(text("SELECT COUNT(*) FROM test.alchemy_ddl"))

    async with stand("aiomysql", galera) as here:
        with pytest.raises(TransactionOutcomeUnknown, match="implicit commit"):
            await run(here.sessions, unit)


async def test_the_time_out_of_run_undoes_the_unit(driver: str, servers: Any) -> None:
    async def unit(session: AsyncSession) -> None:
        await add(session, "late")
        await session.flush()
        await asyncio.sleep(60)

    async with stand(driver, servers) as here:
        with pytest.raises(AcquireTimeout, match="it was rolled back"):
            await run(here.sessions, unit, timeout=0.3)
        assert await asyncio.to_thread(keys, here) == []
        await run(here.sessions, add, "after")


# --- nodes that come and go -----------------------------------------------------------------------------------------------


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
            await asyncio.sleep(0.6)
            over = True
        assert len(written) > since + 20
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
async def test_a_drained_node_gets_no_session_more(galera: GaleraCluster) -> None:
    async with stand("aiomysql", galera, pool_size=9) as here:
        before = await held(here, 9)
        draining = asyncio.create_task(here.cluster.drain_node("node1", timeout=10))
        await asyncio.sleep(0)
        after = await held(here, 9)
        assert before["node1"] > 0 == after["node1"]
        assert await draining == 0
        here.cluster.resume_node("node1")


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
