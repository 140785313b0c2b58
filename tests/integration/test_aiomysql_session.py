"""What the aiomysql driver does with a session on a real server: nothing leaks through a reset, a transaction is what it says."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

import aiomysql
import pytest

from aioclustersql.drivers.asyncmy import AsyncmyDriver
from aioclustersql.drivers.base import TransactionOptions
from aioclustersql.drivers.mysql import transaction as transactions
from aioclustersql.failure import FailureKind
from aioclustersql.node import Isolation, Target
from aioclustersql.testing.driver_suite.tools import reset as reset_as_a_pool
from tests.integration.aiomysql_support import as_usual
from tests.integration.logins import mysql_connected as connected
from tests.integration.logins import mysql_driver as driver
from tests.integration.logins import rows, value
from tests.servers.galera import GaleraCluster, GaleraNode

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

PLAIN = TransactionOptions()


@pytest.fixture
def node(galera: GaleraCluster) -> Iterator[GaleraNode]:
    """A node with an empty table `test.leaks`; not the one whose aborted clients other tests count."""
    node = galera.nodes[2]
    node.sql("CREATE OR REPLACE TABLE test.leaks (id INT PRIMARY KEY)")
    yield node
    node.sql("DROP TABLE test.leaks")


@pytest.fixture
async def conn(node: GaleraNode) -> AsyncIterator[aiomysql.Connection]:
    """A connection as aiomysql makes it: autocommit is off."""
    async with connected(node.dsn("app"), charset="utf8mb4") as conn:
        yield conn


async def in_a_task(conn: aiomysql.Connection, baseline: object) -> None:
    """As the pool resets a connection at first."""
    await driver.reset(conn, baseline)


async def taskless(conn: aiomysql.Connection, baseline: object) -> None:
    """As it does from then on."""
    await reset_as_a_pool(driver, conn, baseline)


Reset = Callable[[aiomysql.Connection, object], Awaitable[None]]
either_way = pytest.mark.parametrize("reset", [in_a_task, taskless])


class Counted:
    """How often the connection writes to its socket."""

    def __init__(self, conn: aiomysql.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes = 0
        write = conn._write_bytes

        def counted(data: bytes) -> Any:
            self.writes += 1
            return write(data)

        monkeypatch.setattr(conn, "_write_bytes", counted)


@either_way
@pytest.mark.every_loop
async def test_the_next_borrower_sees_nothing_of_the_last_one(node: GaleraNode, conn: aiomysql.Connection, reset: Reset):
    await reset(conn, None)
    before = await rows(conn, "SELECT @@autocommit, @@sql_mode, @@time_zone, @@tx_isolation, @@collation_connection, DATABASE()")
    await conn.set_charset("latin1")
    await conn.autocommit(True)
    await rows(conn, "SET @mine=5, sql_mode='ANSI', time_zone='+03:00', tx_isolation='SERIALIZABLE', sql_log_bin=0, wsrep_on=0")
    await rows(conn, "SET sql_log_bin=1, wsrep_on=1, wsrep_sync_wait=1")
    await rows(conn, "SELECT GET_LOCK('mine', 1)")
    await rows(conn, "CREATE TEMPORARY TABLE test.temporary (x INT)")
    await rows(conn, "PREPARE mine FROM 'SELECT 1'")
    await rows(conn, "USE mysql")
    await conn.autocommit(False)
    await rows(conn, "INSERT INTO test.leaks VALUES (1)")
    assert driver.in_transaction(conn)
    await reset(conn, None)
    assert not driver.in_transaction(conn)
    assert (conn.charset, conn.encoding, conn.get_autocommit(), conn.autocommit_mode) == ("utf8mb4", "utf8", False, False)
    after = await rows(conn, "SELECT @@autocommit, @@sql_mode, @@time_zone, @@tx_isolation, @@collation_connection, DATABASE()")
    assert after == before
    assert await rows(conn, "SELECT @mine, IS_FREE_LOCK('mine'), @@sql_log_bin, @@wsrep_on, @@wsrep_sync_wait") == [
        (None, 1, 1, 1, 0)
    ]
    assert await rows(conn, "SELECT * FROM leaks") == []
    for gone in ("SELECT * FROM test.temporary", "EXECUTE mine"):
        with pytest.raises(aiomysql.Error):
            await rows(conn, gone)
    node.sql("INSERT INTO test.leaks VALUES (1)", timeout=1)


@either_way
async def test_locked_tables_are_released(node: GaleraNode, conn: aiomysql.Connection, reset: Reset):
    await reset(conn, None)
    for statement in ("LOCK TABLES leaks WRITE", "FLUSH TABLES WITH READ LOCK"):
        await rows(conn, statement)
        await reset(conn, None)
        await asyncio.to_thread(node.sql, "INSERT INTO test.leaks VALUES (1)", 2)
        node.sql("DELETE FROM test.leaks")


@either_way
@pytest.mark.parametrize("init_command", [None, "SET @greeting='hello', time_zone='+05:00'"])
@pytest.mark.parametrize("autocommit", [True, False, None])
async def test_the_logins_own_settings_survive(node: GaleraNode, autocommit: bool | None, init_command: str | None, reset: Reset):
    options = {
        "charset": "latin1",
        "autocommit": autocommit,
        "sql_mode": "'ANSI,TRADITIONAL'",
        "init_command": init_command,
    }
    asked = "SELECT @@autocommit, @@sql_mode, @@time_zone, @greeting, @@character_set_client, @@collation_connection, DATABASE()"
    async with connected(node.dsn("app"), **options) as conn:
        before = await rows(conn, asked)
        for _ in range(2):
            await conn.set_charset("utf8mb4")
            await rows(conn, "SET sql_mode='', time_zone='+01:00', @greeting='x', autocommit=NOT @@autocommit")
            await rows(conn, "USE mysql")
            await reset(conn, None)
            assert await rows(conn, asked) == before
            assert (conn.charset, conn.get_autocommit()) == ("latin1", bool(before[0][0]))


async def test_a_reset_is_one_write_and_one_round_trip(conn: aiomysql.Connection, monkeypatch: pytest.MonkeyPatch):
    await driver.reset(conn, None)
    counted = Counted(conn, monkeypatch)
    await driver.begin(conn, PLAIN)
    assert counted.writes == 1
    await driver.reset(conn, None)
    assert counted.writes == 2


@either_way
async def test_an_init_command_may_answer_with_rows_and_choose_the_database(node: GaleraNode, reset: Reset):
    dsn = node.dsn("app", database="")
    async with connected(dsn, init_command="USE test; SELECT 1; SELECT 2") as conn:
        for _ in range(2):
            await rows(conn, "USE mysql")
            await reset(conn, None)
            assert await value(conn, "SELECT DATABASE()") == "test"


@either_way
async def test_a_database_chosen_where_there_was_none_fails_the_reset(node: GaleraNode, reset: Reset):
    async with connected(node.dsn("app", database="")) as conn:
        await reset(conn, None)
        await rows(conn, "USE test")
        with pytest.raises(aiomysql.OperationalError, match="default database"):
            await reset(conn, None)


@either_way
async def test_what_init_set_is_restored(node: GaleraNode, reset: Reset):
    asked = "SELECT @@sql_mode, @@time_zone, @@max_statement_time, @@wsrep_sync_wait, @@autocommit, @@lc_time_names, DATABASE()"
    users = "SELECT @text, @number, @precise, @`odd ``name`, @@collation_connection, @@foreign_key_checks, @@autocommit"
    async with connected(node.dsn("app"), charset="utf8mb4") as conn:
        await rows(
            conn, "SET sql_mode='ANSI', time_zone='+02:00', max_statement_time=2.5, wsrep_sync_wait=1, lc_time_names='de_DE'"
        )
        await rows(conn, r"SET foreign_key_checks=0, @text='it''s \\ Grün', @number=7, @precise=1.50, @`odd ``name`='x'")
        await rows(conn, "SET NAMES utf8mb4 COLLATE utf8mb4_bin")
        await rows(conn, "USE mysql")
        await conn.autocommit(True)
        before = await rows(conn, asked), await rows(conn, users)
        baseline = await driver.baseline(conn)
        await reset(conn, baseline)
        await conn.set_charset("latin1")
        await rows(conn, "SET sql_mode='', time_zone='+09:00', @text=NULL, @more=1, autocommit=0, foreign_key_checks=1")
        await rows(conn, "USE test")
        await reset(conn, baseline)
        assert (await rows(conn, asked), await rows(conn, users)) == before
        assert (conn.charset, conn.get_autocommit(), await value(conn, "SELECT @more")) == ("utf8mb4", True, None)


@either_way
async def test_a_role_is_what_it_was_at_login(node: GaleraNode, reset: Reset):
    for statement in ("CREATE OR REPLACE ROLE first", "CREATE OR REPLACE ROLE second", "GRANT first TO plain@'%'"):
        node.sql(statement)
    node.sql("GRANT second TO plain@'%'")
    try:
        for default in ("NONE", "first"):
            node.sql(f"SET DEFAULT ROLE {default} FOR plain@'%'")
            async with connected(node.dsn("plain")) as conn:
                login = await value(conn, "SELECT CURRENT_ROLE()")
                for role in ("second", "NONE"):
                    await rows(conn, f"SET ROLE {role}")
                    await reset(conn, None)
                    assert await value(conn, "SELECT CURRENT_ROLE()") == login
                await rows(conn, "SET ROLE second")
                baseline = await driver.baseline(conn)
                await rows(conn, "SET ROLE NONE")
                await reset(conn, baseline)
                assert await value(conn, "SELECT CURRENT_ROLE()") == "second"
    finally:
        node.sql("SET DEFAULT ROLE NONE FOR plain@'%'")
        node.sql("DROP ROLE first, second")


async def test_a_reset_in_the_middle_of_an_unbuffered_result_raises(conn: aiomysql.Connection):
    cursor = await conn.cursor(aiomysql.SSCursor)
    await cursor.execute("SELECT seq FROM seq_1_to_1000")
    with pytest.raises(aiomysql.OperationalError) as caught:
        await driver.reset(conn, None)
    assert driver.classify(caught.value) is FailureKind.SESSION_LOST
    driver.terminate(conn)
    await cursor.close()


@either_way
async def test_results_that_nobody_asked_for_do_not_hinder_a_reset(conn: aiomysql.Connection, reset: Reset):
    await reset(conn, None)
    cursor = await conn.cursor()
    await cursor.execute("SELECT 1; SELECT 2; SELECT 3")
    await reset(conn, None)
    assert await value(conn, "SELECT 4") == 4


@either_way
@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
@pytest.mark.parametrize(("own", "other"), [("cased", "CASED"), ("größe", "grosse")])
async def test_the_default_database_is_the_logins_to_the_letter(
    node: GaleraNode, own: str, other: str, charset: str, reset: Reset
):
    for name in (own, other):
        node.sql(f"CREATE DATABASE IF NOT EXISTS `{name}`")
    try:
        async with connected(node.dsn("root", database=quote(own)), charset=charset) as conn:
            await reset(conn, None)
            for _ in range(2):
                await rows(conn, f"USE `{other}`")
                await rows(conn, "SET @mine=1")
                await reset(conn, None)
                assert await rows(conn, "SELECT DATABASE(), @@autocommit, @mine") == [(own, 0, None)]
    finally:
        for name in (own, other):
            node.sql(f"DROP DATABASE `{name}`")


# Without a task


@pytest.mark.every_loop
@pytest.mark.parametrize("autocommit", [True, False, None])
async def test_from_the_second_reset_on_none_takes_a_task(node: GaleraNode, autocommit: bool | None):
    async with connected(node.dsn("app"), autocommit=autocommit) as conn:
        assert await as_usual(conn) is None
        await driver.reset(conn, None)
        for _ in range(3):
            await driver.begin(conn, PLAIN)
            assert await as_usual(conn) is True
            assert (driver.in_transaction(conn), conn.get_autocommit()) == (False, autocommit is not False)
            assert await value(conn, "SELECT @@autocommit") == (autocommit is not False)


async def test_an_init_command_takes_a_task_each_time(node: GaleraNode):
    async with connected(node.dsn("app"), init_command="SET @x=1") as conn:
        for _ in range(2):
            await driver.reset(conn, None)
            assert await as_usual(conn) is None


async def test_an_answer_that_differs_is_read_and_is_the_usual_one_from_then_on(node: GaleraNode, conn: aiomysql.Connection):
    await driver.reset(conn, None)
    node.sql("SET GLOBAL autocommit=0")
    try:
        assert await as_usual(conn) is False
        await driver.finish_reset(conn, None)
        assert await value(conn, "SELECT 7") == 7
        assert await as_usual(conn) is True
        assert await value(conn, "SELECT @@autocommit") == 0
    finally:
        node.sql("SET GLOBAL autocommit=1")


async def test_where_somebody_still_reads_a_reset_takes_a_task(conn: aiomysql.Connection):
    await driver.reset(conn, None)
    reading = asyncio.create_task(rows(conn, "SELECT SLEEP(0.2)"))
    await asyncio.sleep(0.05)
    assert await as_usual(conn) is None
    assert await reading == [(0,)]
    assert await as_usual(conn) is True


async def test_a_lost_session_is_noticed_without_a_task_too(node: GaleraNode, conn: aiomysql.Connection):
    await driver.reset(conn, None)
    node.sql(f"KILL {conn.thread_id()}")
    if await as_usual(conn) is not None:  # else the end had been seen already
        with pytest.raises(aiomysql.OperationalError) as caught:
            await driver.finish_reset(conn, None)
        assert driver.classify(caught.value) is FailureKind.SESSION_LOST
    assert await as_usual(conn) is None


@pytest.mark.every_loop
async def test_a_connection_cut_off_while_it_is_reset_says_so(conn: aiomysql.Connection):
    await driver.reset(conn, None)
    assert await as_usual(conn, lambda: driver.terminate(conn)) is False
    assert driver.is_closed(conn)


async def test_a_reset_of_a_lost_session_raises(node: GaleraNode, conn: aiomysql.Connection):
    await driver.reset(conn, None)
    node.sql(f"KILL {conn.thread_id()}")
    with pytest.raises(aiomysql.OperationalError) as caught:
        await driver.reset(conn, None)
    assert driver.classify(caught.value) is FailureKind.SESSION_LOST
    with pytest.raises(aiomysql.Error) as found:
        await driver.reset(conn, None)
    assert driver.classify(found.value) in (FailureKind.SESSION_LOST, FailureKind.FOUND_CLOSED)
    assert not driver.in_transaction(conn)


async def test_a_ping_fails_on_a_node_that_serves_nothing(node: GaleraNode, conn: aiomysql.Connection):
    await driver.ping(conn)
    node.sql("SET GLOBAL wsrep_reject_queries=ALL")
    with pytest.raises(aiomysql.Error) as caught:
        await driver.ping(conn)
    assert driver.classify(caught.value) is FailureKind.NOT_READY
    node.sql("SET GLOBAL wsrep_reject_queries=NONE")


# Transactions


@pytest.mark.parametrize("autocommit", [True, False])
async def test_a_transaction_commits_or_rolls_back_and_the_autocommit_mode_stays(node: GaleraNode, autocommit: bool):
    async with connected(node.dsn("app"), autocommit=autocommit) as conn:
        for number, end in enumerate(("commit", "rollback")):
            transaction = await driver.begin(conn, PLAIN)
            assert (driver.in_transaction(conn), conn.get_autocommit()) == (True, True)
            await rows(conn, f"INSERT INTO leaks VALUES ({number})")
            await getattr(transaction, end)()
            assert (driver.in_transaction(conn), conn.get_autocommit()) == (False, autocommit)
            assert await value(conn, "SELECT @@autocommit") == autocommit
        assert node.sql("SELECT id FROM test.leaks") == ((0,),)


async def test_to_begin_and_to_end_are_one_round_trip_each(conn: aiomysql.Connection, monkeypatch: pytest.MonkeyPatch):
    counted = Counted(conn, monkeypatch)
    transaction = await driver.begin(conn, TransactionOptions(Isolation.SERIALIZABLE, readonly=True))
    assert counted.writes == 1
    await transaction.commit()
    assert counted.writes == 2


@pytest.mark.parametrize("isolation", list(Isolation))
async def test_the_isolation_level_is_the_wanted_one(node: GaleraNode, conn: aiomysql.Connection, isolation: Isolation):
    transaction = await driver.begin(conn, TransactionOptions(isolation))
    await rows(conn, "SELECT * FROM leaks")
    shown = f"SELECT trx_isolation_level FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = {conn.thread_id()}"
    async with asyncio.timeout(5):
        while node.sql(shown) != ((isolation.upper(),),):  # renewed after a tenth of a second in which nobody looked
            await asyncio.sleep(0.2)
    await transaction.rollback()
    assert await value(conn, "SELECT @@tx_isolation") == "REPEATABLE-READ"


async def test_inside_of_a_users_own_transaction_only_what_is_nested_ends(node: GaleraNode, conn: aiomysql.Connection):
    await rows(conn, "INSERT INTO leaks VALUES (1)")
    inner = await driver.begin(conn, PLAIN)
    await rows(conn, "INSERT INTO leaks VALUES (2)")
    await inner.commit()
    assert (driver.in_transaction(conn), node.sql("SELECT id FROM test.leaks")) == (True, ())
    await conn.commit()
    assert node.sql("SELECT id FROM test.leaks") == ((1,), (2,))


async def test_an_implicit_commit_shows(conn: aiomysql.Connection):
    await driver.begin(conn, PLAIN)
    await rows(conn, "CREATE OR REPLACE TABLE implicit (x INT)")
    assert not driver.in_transaction(conn)
    await rows(conn, "DROP TABLE implicit")


async def test_a_savepoint_is_refused_when_a_deadlock_has_ended_the_transaction(node: GaleraNode, conn: aiomysql.Connection):
    node.sql("INSERT INTO test.leaks VALUES (1), (2)")
    await driver.begin(conn, PLAIN)
    async with connected(node.dsn("app")) as other:
        await driver.begin(other, PLAIN)
        await rows(other, "UPDATE leaks SET id = id WHERE id = 1")
        await rows(other, "INSERT INTO leaks VALUES (10), (11), (12)")  # the one that has done less is rolled back
        await rows(conn, "UPDATE leaks SET id = id WHERE id = 2")
        waiting = asyncio.create_task(rows(other, "UPDATE leaks SET id = id WHERE id = 2"))
        with pytest.raises(aiomysql.Error) as caught:
            await rows(conn, "UPDATE leaks SET id = id WHERE id = 1")
        assert driver.classify(caught.value) is FailureKind.ROLLED_BACK
        await waiting
        with pytest.raises(aiomysql.OperationalError, match="has ended"):
            await driver.begin(conn, PLAIN)
        assert not driver.in_transaction(conn)


async def test_a_read_only_server_refuses_to_begin_to_write(node: GaleraNode):
    async with connected(node.dsn("plain")) as conn:
        node.sql("SET GLOBAL read_only=1")
        with pytest.raises(aiomysql.Error) as caught:
            await driver.begin(conn, PLAIN)
        assert driver.classify(caught.value) is FailureKind.ROLE_CHANGED
        assert (driver.in_transaction(conn), conn.get_autocommit()) == (False, False)
        transaction = await driver.begin(conn, TransactionOptions(readonly=True))
        assert await rows(conn, "SELECT * FROM leaks") == []
        await transaction.commit()


async def test_a_commit_that_fails_leaves_the_autocommit_mode_as_it_was(
    galera: GaleraCluster, node: GaleraNode, conn: aiomysql.Connection
):
    node.sql("INSERT INTO test.leaks VALUES (1)")
    galera.nodes[0].causal_read()
    transaction = await driver.begin(conn, PLAIN)
    await rows(conn, "UPDATE leaks SET id = 2 WHERE id = 1")
    galera.nodes[0].sql("DELETE FROM test.leaks")
    node.causal_read()
    with pytest.raises(aiomysql.Error) as caught:
        await transaction.commit()
    assert driver.classify(caught.value) is FailureKind.ROLLED_BACK
    assert not conn.get_autocommit()
    assert await value(conn, "SELECT @@autocommit") == 0


async def test_a_commit_that_was_answered_is_done_whatever_becomes_of_the_mode(
    node: GaleraNode, conn: aiomysql.Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transactions, "_OFF", "SET no_such_variable=1")
    transaction = await driver.begin(conn, PLAIN)
    await rows(conn, "INSERT INTO leaks VALUES (1)")
    await transaction.commit()
    assert driver.is_closed(conn)
    assert node.sql("SELECT id FROM test.leaks") == ((1,),)


async def test_asyncmys_cache_of_statements_goes_with_them(node: GaleraNode):
    asyncmy = AsyncmyDriver()
    conn = await asyncmy.connect(asyncmy.parse(node.dsn("app"), {"stmt_cache_size": 10}), "pw")
    await asyncmy.validate(conn, Target.ANY)
    for _ in range(2):
        async with conn.cursor() as cursor:
            await cursor.execute("SELECT %s", (7,))
            assert list(await cursor.fetchall()) == [(7,)]
        await asyncmy.reset(conn, None)
    await asyncmy.close(conn)
