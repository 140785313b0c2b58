"""SQLAlchemy's asyncio engines and sessions on a cluster: the same promises on every dialect, met on real servers."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.ext.asyncio import create_async_engine as plain_engine

from aioclustersql import AcquireTimeout, ConfigError, TransactionOutcomeUnknown, UnknownNode
from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.sqlalchemy import create_async_engine, node_of, run
from tests.integration.alchemy import DRIVERS, Row, Stand, add, keys, stand
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
        rows[first].k = Row.k + name  # in the database: a second run may read before the other one has committed
        await session.flush()
        if runs[name] == 1:
            await met.wait()
        rows[second].k = Row.k + name  # flushed after the unit: there it meets the other one

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


async def test_a_cancelled_run_is_undone_and_leaves_no_session(driver: str, servers: Any) -> None:
    begun = asyncio.Event()

    async def unit(session: AsyncSession) -> None:
        await add(session, "cancelled")
        await session.flush()
        begun.set()
        await asyncio.sleep(60)

    async with stand(driver, servers) as here:
        for _ in range(2):
            task = asyncio.create_task(run(here.sessions, unit))
            await begun.wait()
            begun.clear()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert "Connections in pool: 1 Current Overflow: -4 Current Checked out connections: 0" in here.engine.pool.status()
        assert await asyncio.to_thread(keys, here) == []
        assert len(here.opened) == 1, "undoing the unit cost a connection"
