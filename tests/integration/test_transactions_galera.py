"""`run` and `transaction` on Galera: certification conflicts, lost sessions, refused nodes, and commits that DDL brings about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import aiomysql
import pytest

from aioclustersql.drivers.aiomysql import AiomysqlDriver
from aioclustersql.errors import TransactionOutcomeUnknown
from aioclustersql.failure import FailureKind
from tests.runtime.leases import Units
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster
from tests.servers.proxy import Proxy

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

Conn: TypeAlias = Any  # aiomysql comes without types
MakeUnits: TypeAlias = "Callable[..., Units[Conn]]"


@pytest.fixture
async def units() -> AsyncIterator[MakeUnits]:
    """Make what runs units over nodes of these names and ports; tried in the order of the names."""
    made: list[Units[Conn]] = []

    def make(**ports: int) -> Units[Conn]:
        urls = {name: f"mysql://root@127.0.0.1:{port}/test" for name, port in ports.items()}
        made.append(Units(AiomysqlDriver(), urls))
        return made[-1]

    yield make
    for each in made:
        assert each.pool.dirty == []
        await each.pool.close()


@pytest.fixture
def table(galera: GaleraCluster, request: pytest.FixtureRequest) -> str:
    """A table of the test's own with one row: id 1, n 0."""
    name = f"test.{request.node.name[:60]}"
    first = galera.nodes[0]
    first.sql(f"DROP TABLE IF EXISTS {name}")
    first.sql(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT NOT NULL) ENGINE=InnoDB")
    first.sql(f"INSERT INTO {name} VALUES (1, 0)")
    for node in galera.nodes:
        node.causal_read()
    return name


def value(galera: GaleraCluster, table: str) -> list[int]:
    """What is there, by every node."""
    found = []
    for node in galera.nodes:
        node.causal_read()
        found.append(node.sql(f"SELECT n FROM {table} WHERE id = 1")[0][0])
    return found


async def do(conn: Conn, sql: str) -> None:
    async with conn.cursor() as cursor:
        await cursor.execute(sql)


async def increment(conn: Conn, table: str) -> None:
    await do(conn, f"UPDATE {table} SET n = n + 1 WHERE id = 1")


async def kill(galera: GaleraCluster, conn: Conn) -> None:
    """As an administrator, on the first node."""
    await asyncio.to_thread(galera.nodes[0].sql, f"KILL CONNECTION {conn.thread_id()}")


async def test_conflicts_between_two_nodes_are_retried_and_no_increment_is_lost(
    units: MakeUnits, galera: GaleraCluster, table: str
):
    first, second, _ = (units(node=node.port) for node in galera.nodes)
    runs = [over.run(increment, table, attempts=100, timeout=30.0) for over in (first, second) for _ in range(20)]
    await asyncio.gather(*runs)
    assert value(galera, table) == [40, 40, 40]
    assert {kind for over in (first, second) for _, kind in over.pool.reports} == {FailureKind.ROLLED_BACK}


async def test_a_session_killed_in_mid_unit_is_run_again(units: MakeUnits, galera: GaleraCluster, table: str):
    over = units(g1=galera.nodes[0].port)
    runs = 0

    async def unit(conn: Conn) -> None:
        nonlocal runs
        runs += 1
        await increment(conn, table)
        if runs == 1:
            await kill(galera, conn)
        await do(conn, "SELECT 1")

    await over.run(unit, timeout=10.0)
    assert (runs, value(galera, table)) == (2, [1, 1, 1])


async def test_a_session_killed_between_two_units_is_replaced(units: MakeUnits, galera: GaleraCluster, table: str):
    over = units(g1=galera.nodes[0].port)
    async with over.transaction() as conn:
        pass
    await kill(galera, conn)
    await over.run(increment, table, attempts=1)
    assert value(galera, table) == [1, 1, 1]


async def test_a_node_that_serves_nothing_gives_way_to_another(units: MakeUnits, galera: GaleraCluster, table: str):
    over = units(a=galera.nodes[0].port, b=galera.nodes[1].port)
    galera.nodes[0].sql("SET GLOBAL wsrep_reject_queries = ALL")
    try:
        await over.run(increment, table, timeout=10.0)
    finally:
        galera.nodes[0].sql("SET GLOBAL wsrep_reject_queries = NONE")
    assert over.pool.handed_out == ["a", "b"]
    assert over.pool.reports == [("a", FailureKind.NOT_READY)]
    assert value(galera, table) == [1, 1, 1]


def losing_its_commit(proxy: Proxy, table: str) -> Callable[[Conn], Awaitable[None]]:
    """A unit whose first COMMIT goes out into a silence, is cut off 0.2 s later, and arrives in the end all the same."""

    async def unit(conn: Conn) -> None:
        again = proxy.mode == "hang"
        if again:
            await proxy.set_mode("ok")
        await do(conn, f"UPDATE {table} SET n = 7 WHERE id = 1")
        if not again:
            await proxy.set_mode("hang")
            asyncio.get_running_loop().call_later(0.2, proxy.drop)

    return unit


async def test_a_connection_lost_at_commit_is_unknown(units: MakeUnits, galera: GaleraCluster, table: str, proxy: MakeProxy):
    through = await proxy(galera.nodes[0])
    with pytest.raises(TransactionOutcomeUnknown, match="on node g1: COMMIT was sent") as caught:
        await units(g1=through.port).run(losing_its_commit(through, table), timeout=10.0)
    assert isinstance(caught.value.__cause__, aiomysql.OperationalError)


async def test_a_connection_lost_at_commit_runs_again_elsewhere_where_that_does_no_harm(
    units: MakeUnits, galera: GaleraCluster, table: str, proxy: MakeProxy
):
    through = await proxy(galera.nodes[0])
    over = units(a=through.port, b=galera.nodes[1].port)
    await over.run(losing_its_commit(through, table), timeout=10.0, idempotent=True)
    assert set(over.pool.handed_out) == {"a", "b"}
    assert value(galera, table) == [7, 7, 7]


async def test_after_ddl_has_committed_a_lost_unit_is_not_run_again(units: MakeUnits, galera: GaleraCluster, table: str):
    async def unit(conn: Conn) -> None:
        await increment(conn, table)
        await do(conn, f"ALTER TABLE {table} COMMENT = 'later'")
        await kill(galera, conn)
        await do(conn, "SELECT 1")

    with pytest.raises(TransactionOutcomeUnknown, match="by an implicit commit"):
        await units(g1=galera.nodes[0].port).run(unit, timeout=10.0)
    assert value(galera, table) == [1, 1, 1]


async def test_a_unit_that_ends_well_after_ddl_is_not_called_a_success(units: MakeUnits, galera: GaleraCluster, table: str):
    async def unit(conn: Conn) -> None:
        await increment(conn, table)
        await do(conn, f"ALTER TABLE {table} COMMENT = 'later'")

    with pytest.raises(TransactionOutcomeUnknown, match="by an implicit commit"):
        await units(g1=galera.nodes[0].port).run(unit, timeout=10.0)


async def test_a_lock_that_is_not_had_in_time_is_rolled_back_and_run_again(units: MakeUnits, galera: GaleraCluster, table: str):
    over = units(g1=galera.nodes[0].port)

    async def unit(conn: Conn) -> None:
        await do(conn, "SET SESSION innodb_lock_wait_timeout = 1")
        await increment(conn, table)

    async with over.transaction() as other:
        await increment(other, table)
        running = asyncio.create_task(over.run(unit, timeout=10.0))
        await asyncio.sleep(1.2)
    await running
    assert over.pool.reports == [("g1", FailureKind.LOCK_TIMEOUT)]
    assert value(galera, table) == [2, 2, 2]


async def test_a_savepoint_is_undone_alone(units: MakeUnits, galera: GaleraCluster, table: str):
    over = units(g1=galera.nodes[0].port)
    async with over.transaction() as conn:
        await increment(conn, table)
        with pytest.raises(LookupError):
            async with over.transaction(conn):
                await increment(conn, table)
                raise LookupError("mine")
        await increment(conn, table)
    assert value(galera, table) == [2, 2, 2]
