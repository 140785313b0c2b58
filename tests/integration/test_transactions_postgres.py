"""`run` and `transaction` on PostgreSQL: what the server really says of conflicts, of lost sessions and of commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import asyncpg
import pytest

from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.drivers.asyncpg import AsyncpgDriver
from aioclustersql.errors import AcquireTimeout, TransactionOutcomeUnknown
from aioclustersql.failure import FailureKind
from tests.runtime.leases import Units
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.proxy import Proxy

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

Conn: TypeAlias = "asyncpg.Connection[Any]"
MakeUnits: TypeAlias = "Callable[..., Units[Conn]]"


@pytest.fixture
async def units() -> AsyncIterator[MakeUnits]:
    """Make what runs units over nodes of these names and ports; tried in the order of the names."""
    made: list[Units[Conn]] = []

    def make(**ports: int) -> Units[Conn]:
        urls = {name: f"postgresql://postgres@127.0.0.1:{port}/postgres" for name, port in ports.items()}
        made.append(Units(AsyncpgDriver(), urls))
        return made[-1]

    yield make
    for each in made:
        assert each.pool.dirty == []
        await each.pool.close()


@pytest.fixture
def table(postgres: PostgresCluster, request: pytest.FixtureRequest) -> str:
    """A table of the test's own with one row: id 1, n 0."""
    name: str = request.node.name.partition("[")[0][:60]
    postgres.primary.sql(f"drop table if exists {name}")
    postgres.primary.sql(f"create table {name} (id int primary key deferrable initially deferred, n int not null)")
    postgres.primary.sql(f"insert into {name} values (1, 0)")
    return name


async def increment(conn: Conn, table: str) -> None:
    """Read, then write what was read and one more: a lost update unless the isolation forbids it."""
    n = await conn.fetchval(f"select n from {table} where id = 1")
    await conn.execute(f"update {table} set n = {n + 1} where id = 1")


def value(postgres: PostgresCluster, table: str) -> str:
    return postgres.primary.value(f"select n from {table} where id = 1")


async def terminate(postgres: PostgresCluster, conn: Conn) -> None:
    """As an administrator, and until it is done."""
    await asyncio.to_thread(postgres.primary.sql, f"select pg_terminate_backend({conn.get_server_pid()}, 5000)")


async def test_conflicts_are_retried_and_no_increment_is_lost(units: MakeUnits, postgres: PostgresCluster, table: str):
    over = units(pg1=postgres.primary.port)
    run = partial(over.run, increment, table, isolation="serializable", attempts=100, timeout=30.0)
    await asyncio.gather(*(run() for _ in range(20)))
    assert value(postgres, table) == "20"
    assert {kind for _, kind in over.pool.reports} == {FailureKind.ROLLED_BACK}


async def test_a_session_terminated_in_mid_unit_is_run_again(units: MakeUnits, postgres: PostgresCluster, table: str):
    over = units(pg1=postgres.primary.port)
    runs = 0

    async def unit(conn: Conn) -> None:
        nonlocal runs
        runs += 1
        await increment(conn, table)
        if runs == 1:
            await terminate(postgres, conn)
        await conn.execute("select 1")

    await over.run(unit, timeout=10.0)
    assert (runs, value(postgres, table)) == (2, "1")


async def test_a_session_terminated_between_two_units_is_replaced(units: MakeUnits, postgres: PostgresCluster, table: str):
    over = units(pg1=postgres.primary.port)
    async with over.transaction() as conn:
        pass
    await terminate(postgres, conn)
    await over.run(increment, table, attempts=1)
    assert value(postgres, table) == "1"


def losing_its_commit(proxy: Proxy, table: str) -> Callable[[Conn], Awaitable[None]]:
    """A unit whose first COMMIT goes out into a silence, is cut off 0.2 s later, and arrives in the end all the same."""

    async def unit(conn: Conn) -> None:
        again = proxy.mode == "hang"
        if again:
            await proxy.set_mode("ok")
        await conn.execute(f"update {table} set n = 7 where id = 1")
        if not again:
            await proxy.set_mode("hang")
            asyncio.get_running_loop().call_later(0.2, proxy.drop)

    return unit


async def test_a_connection_lost_at_commit_is_unknown(units: MakeUnits, postgres: PostgresCluster, table: str, proxy: MakeProxy):
    through = await proxy(postgres.primary, source="127.0.0.1")
    with pytest.raises(TransactionOutcomeUnknown, match="on node pg1: COMMIT was sent") as caught:
        await units(pg1=through.port).run(losing_its_commit(through, table), timeout=10.0)
    assert isinstance(caught.value.__cause__, asyncpg.ConnectionDoesNotExistError)


async def test_a_connection_lost_at_commit_runs_again_elsewhere_where_that_does_no_harm(
    units: MakeUnits, postgres: PostgresCluster, table: str, proxy: MakeProxy
):
    through = await proxy(postgres.primary, source="127.0.0.1")
    over = units(a=through.port, b=postgres.primary.port)
    await over.run(losing_its_commit(through, table), timeout=10.0, idempotent=True)
    assert over.pool.handed_out == ["a", "b"]
    assert value(postgres, table) == "7"


async def test_the_deadline_in_a_silent_commit_leaves_it_unknown(
    units: MakeUnits, postgres: PostgresCluster, table: str, proxy: MakeProxy
):
    through = await proxy(postgres.primary, source="127.0.0.1")

    async def unit(conn: Conn) -> None:
        await increment(conn, table)
        await through.set_mode("hang")

    with pytest.raises(TransactionOutcomeUnknown, match=r"the time-out of 0\.5 s passed"):
        await units(pg1=through.port).run(unit, timeout=0.5)


async def test_the_deadline_interrupts_a_query_and_leaves_the_connection_usable(
    units: MakeUnits, postgres: PostgresCluster, table: str
):
    over = units(pg1=postgres.primary.port)

    async def unit(conn: Conn) -> None:
        await increment(conn, table)
        await conn.execute("select pg_sleep(30)")

    with pytest.raises(AcquireTimeout):
        await over.run(unit, timeout=0.5)
    await over.run(increment, table, timeout=10.0)
    assert over.pool.handed_out == ["pg1", "pg1"]
    assert value(postgres, table) == "1"


async def test_the_units_own_commit_is_noticed(units: MakeUnits, postgres: PostgresCluster, table: str):
    async def unit(conn: Conn) -> None:
        await increment(conn, table)
        await conn.execute("commit")
        await terminate(postgres, conn)
        await conn.execute("select 1")

    with pytest.raises(TransactionOutcomeUnknown, match="a COMMIT or ROLLBACK of its own"):
        await units(pg1=postgres.primary.port).run(unit, timeout=10.0)
    assert value(postgres, table) == "1"


async def test_a_standby_refuses_the_begin_and_the_primary_takes_it(units: MakeUnits, postgres: PostgresCluster, table: str):
    over = units(a=postgres.standbys[0].port, b=postgres.primary.port)
    await over.run(increment, table, attempts=1)
    assert over.pool.handed_out == ["a", "b"]
    assert over.pool.reports == [("a", FailureKind.ROLE_CHANGED)]


async def test_a_deferred_constraint_that_fails_at_commit_is_surfaced(units: MakeUnits, postgres: PostgresCluster, table: str):
    async def unit(conn: Conn) -> None:
        await conn.execute(f"insert into {table} values (1, 1)")

    over = units(pg1=postgres.primary.port)
    with pytest.raises(asyncpg.UniqueViolationError):
        await over.run(unit, timeout=10.0)
    assert over.pool.handed_out == ["pg1"]


async def test_a_failed_statement_that_the_unit_swallowed_is_no_success(units: MakeUnits, postgres: PostgresCluster, table: str):
    async def unit(conn: Conn) -> None:
        await increment(conn, table)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await conn.fetchval("select 1 / 0")

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await units(pg1=postgres.primary.port).run(unit, timeout=10.0)


async def test_a_plan_made_stale_by_a_migration_is_no_error(units: MakeUnits, postgres: PostgresCluster, table: str):
    over = units(pg1=postgres.primary.port)

    async def unit(conn: Conn) -> int:
        (row,) = await conn.fetch(f"select * from {table} where id = $1", 1)
        return len(row)

    assert await over.run(unit) == 2
    await asyncio.to_thread(postgres.primary.sql, f"alter table {table} add column more int")
    assert await over.run(unit) == 3
    assert over.pool.reports == [("pg1", FailureKind.STALE_PLAN)]


async def nest_by_hand(over: Units[Conn], conn: Conn, work: Callable[[], Awaitable[object]]) -> None:
    async with over.transaction(conn):
        await work()


async def nest_by_asyncpg(over: Units[Conn], conn: Conn, work: Callable[[], Awaitable[object]]) -> None:
    async with conn.transaction():
        await work()


@pytest.mark.parametrize("nest", [nest_by_hand, nest_by_asyncpg])
async def test_a_savepoint_is_undone_alone(units: MakeUnits, postgres: PostgresCluster, table: str, nest: Any):
    over = units(pg1=postgres.primary.port)
    async with over.transaction() as conn:
        await increment(conn, table)
        with pytest.raises(asyncpg.DivisionByZeroError):
            await nest(over, conn, lambda: conn.fetchval("select 1 / 0"))
        await increment(conn, table)
    assert value(postgres, table) == "2"


async def test_a_cancelled_block_is_rolled_back_and_its_connection_serves_on(
    units: MakeUnits, postgres: PostgresCluster, table: str
):
    over = units(pg1=postgres.primary.port)

    async def block() -> None:
        async with over.transaction() as conn:
            await increment(conn, table)
            await conn.execute("select pg_sleep(30)")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await block()
    await over.run(increment, table)
    assert over.pool.handed_out == ["pg1", "pg1"]
    assert value(postgres, table) == "1"
