"""What the asyncpg driver does with a session on a real server: nothing leaks through a reset, a transaction is what it says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.drivers.base import TransactionOptions
from aioclustersql.failure import FailureKind
from aioclustersql.node import Isolation
from tests.integration.logins import connected, driver

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

PLAIN = TransactionOptions()
if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any]


@pytest.fixture
async def conn(postgres: PostgresCluster) -> AsyncIterator[Connection]:
    """A connection to the primary."""
    async with connected(postgres.primary.dsn()) as conn:
        yield conn


@contextlib.asynccontextmanager
async def queries_of(conn: Connection) -> AsyncIterator[list[str]]:
    """What is sent to the server meanwhile."""
    sent: list[str] = []

    def note(record: Any) -> None:
        sent.append(record.query)

    conn.add_query_logger(note)
    yield sent
    await asyncio.sleep(0)  # loggers are called soon
    conn.remove_query_logger(note)


@pytest.mark.every_loop
async def test_the_next_borrower_sees_nothing_of_the_last_one(postgres: PostgresCluster, conn: Connection) -> None:
    postgres.primary.sql("drop table if exists leaks; drop role if exists leaking; create table leaks (id serial)")
    postgres.primary.sql("create role leaking; grant all on leaks, leaks_id_seq to leaking")
    await conn.execute("set search_path = private; set work_mem = '9MB'; set app.person = 'me'; set session role leaking")
    await conn.execute("create temp table mine (x int)")
    await conn.execute("select pg_advisory_lock(77)")
    await conn.execute("begin; declare held cursor with hold for select 1; commit")
    await conn.add_listener("news", lambda *_: None)
    conn.add_log_listener(lambda *_: None)
    await conn.execute("begin; insert into public.leaks default values; set local work_mem = '8MB'")
    await driver.reset(conn, None)
    assert not driver.in_transaction(conn)
    assert await conn.fetchval("show search_path") == '"$user", public'
    assert await conn.fetchval("show work_mem") != "9MB"
    assert await conn.fetchval("select current_setting('app.person', true)") in ("", None)
    assert await conn.fetchval("select current_user || session_user") == "postgrespostgres"
    assert await conn.fetchval("select to_regclass('pg_temp.mine')") is None
    assert await conn.fetchval("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()") == 0
    assert await conn.fetchval("select count(*) from pg_cursors where name = 'held'") == 0
    assert await conn.fetchval("select count(*) from pg_listening_channels()") == 0
    assert (conn._listeners, conn._log_listeners) == ({}, set())  # type: ignore[attr-defined]
    assert await conn.fetchval("select count(*) from leaks") == 0
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
        await conn.fetchval("select lastval()")


async def test_a_reset_is_one_query_and_keeps_the_statement_cache(conn: Connection) -> None:
    assert await conn.fetchval("select $1::int", 7) == 7
    before = await conn.fetchval("select count(*) from pg_prepared_statements")
    transaction = await driver.begin(conn, PLAIN)
    async with queries_of(conn) as sent:
        await driver.reset(conn, None)
    assert len(sent) == 1
    assert await conn.fetchval("select $1::int", 8) == 8
    assert await conn.fetchval("select count(*) from pg_prepared_statements") == before
    with pytest.raises(asyncpg.InterfaceError, match="released"):
        await transaction.rollback()
    await (await driver.begin(conn, PLAIN)).commit()


async def test_a_failed_transaction_is_reset_too(conn: Connection) -> None:
    await driver.begin(conn, PLAIN)
    with pytest.raises(asyncpg.UndefinedTableError):
        await conn.execute("select * from not_there")
    await driver.reset(conn, None)
    assert await conn.fetchval("select 1") == 1


async def test_the_logins_own_settings_survive(postgres: PostgresCluster) -> None:
    postgres.primary.sql("drop role if exists working; create role working")
    dsn = f"{postgres.primary.dsn()}?work_mem=7MB&role=working&search_path=shop&options=-c%20geqo%3Doff"
    async with connected(dsn) as conn:
        await conn.execute("set work_mem = '9MB'; set role postgres; set search_path = other; set geqo = on")
        await driver.reset(conn, None)
        settings = [await conn.fetchval(f"show {name}") for name in ("work_mem", "role", "search_path", "geqo")]
        assert settings == ["7MB", "working", "shop", "off"]
        assert await conn.fetchval("select current_user") == "working"


async def test_what_init_set_is_restored_in_the_same_query(postgres: PostgresCluster, conn: Connection) -> None:
    postgres.primary.sql("drop role if exists initial; create role initial")
    await conn.execute(r"""set application_name = 'it''s \ "odd"'; set search_path = "my ""own", public; set work_mem = '7MB'""")
    await conn.execute("set datestyle = 'German'; set timezone = 'Europe/Vienna'; set random_page_cost = 1.5; set role initial")
    names = ("application_name", "search_path", "work_mem", "datestyle", "timezone", "random_page_cost", "role")
    before = [await conn.fetchval(f"show {name}") for name in names]
    baseline = await driver.baseline(conn)
    await conn.execute("set application_name = 'x'; set search_path = x; set work_mem = '9MB'; reset timezone; set role postgres")
    await conn.execute("set standard_conforming_strings = off; set datestyle = 'ISO'; set enable_hashjoin = off")
    async with queries_of(conn) as sent:
        await driver.reset(conn, baseline)
    assert len(sent) == 1
    assert [await conn.fetchval(f"show {name}") for name in names] == before
    assert await conn.fetchval("select current_user || current_setting('enable_hashjoin')") == "initialon"


async def test_a_changed_session_authorization_is_restored(postgres: PostgresCluster, conn: Connection) -> None:
    postgres.primary.sql("drop role if exists other_self; create role other_self")
    await conn.execute("set session authorization other_self")
    baseline = await driver.baseline(conn)
    await conn.execute("reset session authorization")
    await driver.reset(conn, baseline)
    assert await conn.fetchval("select session_user || current_user") == "other_selfother_self"
    await driver.reset(conn, None)
    assert await conn.fetchval("select session_user || current_user") == "postgrespostgres"


async def test_a_standby_can_be_reset(postgres: PostgresCluster) -> None:
    async with connected(postgres.standbys[0].dsn()) as conn:
        await conn.execute("set work_mem = '9MB'; begin")
        await driver.reset(conn, await driver.baseline(conn))
        await driver.reset(conn, None)
        assert await conn.fetchval("show work_mem") != "9MB"


async def test_a_ping_is_one_query_and_leaves_the_statement_cache_alone(conn: Connection) -> None:
    before = await conn.fetchval("select count(*) from pg_prepared_statements")
    async with queries_of(conn) as sent:
        await driver.ping(conn)
    assert len(sent) == 1
    assert await conn.fetchval("select count(*) from pg_prepared_statements") == before


# Transactions


async def test_to_begin_is_one_query(conn: Connection) -> None:
    async with queries_of(conn) as sent:
        await (await driver.begin(conn, PLAIN)).commit()
        await (await driver.begin(conn, TransactionOptions(Isolation.SERIALIZABLE, readonly=True, deferrable=True))).rollback()
    assert sent == [
        *("BEGIN READ WRITE;", "COMMIT;"),
        *("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;", "ROLLBACK;"),
    ]


@pytest.mark.parametrize("isolation", list(Isolation))
async def test_the_isolation_level_is_the_wanted_one(conn: Connection, isolation: Isolation) -> None:
    transaction = await driver.begin(conn, TransactionOptions(isolation))
    assert await conn.fetchval("show transaction_isolation") == isolation
    async with conn.transaction():
        assert await conn.fetchval("select 1") == 1
    await transaction.rollback()


async def test_asyncpgs_own_transaction_nests_inside(conn: Connection) -> None:
    await conn.execute("create temp table t (x int)")
    outer = await driver.begin(conn, PLAIN)
    with pytest.raises(ZeroDivisionError):
        async with conn.transaction():
            await conn.execute("insert into t values (1)")
            raise ZeroDivisionError
    inner = await driver.begin(conn, PLAIN)
    await conn.execute("insert into t values (2)")
    await inner.rollback()
    inner = await driver.begin(conn, PLAIN)
    await conn.execute("insert into t values (3)")
    await inner.commit()
    await outer.commit()
    assert [row[0] for row in await conn.fetch("select x from t")] == [3]
    async with conn.transaction():  # nothing is left of ours
        pass


async def test_inside_of_a_users_own_begin_a_savepoint_is_set(conn: Connection) -> None:
    await conn.execute("create temp table t (x int); begin; insert into t values (1)")
    inner = await driver.begin(conn, PLAIN)
    async with conn.transaction():
        await conn.execute("insert into t values (2)")
    await inner.rollback()
    assert driver.in_transaction(conn)
    await conn.execute("commit")
    assert [row[0] for row in await conn.fetch("select x from t")] == [1]


async def test_after_a_users_own_commit_a_transaction_begins_anew(conn: Connection) -> None:
    await driver.begin(conn, PLAIN)
    await conn.execute("commit")
    assert not driver.in_transaction(conn)
    transaction = await driver.begin(conn, PLAIN)
    assert driver.in_transaction(conn)
    await transaction.commit()


async def test_a_standby_refuses_to_begin_to_write(postgres: PostgresCluster) -> None:
    async with connected(postgres.standbys[0].dsn()) as conn:
        with pytest.raises(asyncpg.PostgresError) as caught:
            await driver.begin(conn, PLAIN)
        assert driver.classify(caught.value) is FailureKind.ROLE_CHANGED
        assert not driver.in_transaction(conn)
        async with conn.transaction(readonly=True):  # nothing is left of ours
            pass
        transaction = await driver.begin(conn, TransactionOptions(readonly=True))
        assert await conn.fetchval("select pg_is_in_recovery()")
        await transaction.commit()


async def test_a_server_made_read_only_refuses_to_begin_to_write(postgres: PostgresCluster, conn: Connection) -> None:
    node = postgres.primary
    await (await driver.begin(conn, PLAIN)).commit()
    node.set(default_transaction_read_only="on")
    node.reload()
    async with asyncio.timeout(5):
        while await conn.fetchval("show default_transaction_read_only") == "off":
            await asyncio.sleep(0.01)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as caught:
        await driver.begin(conn, PLAIN)
    assert driver.classify(caught.value) is FailureKind.ROLE_CHANGED
    assert not driver.in_transaction(conn)
    await (await driver.begin(conn, TransactionOptions(readonly=True))).commit()


async def test_a_commit_that_rolled_back_is_an_error(conn: Connection) -> None:
    transaction = await driver.begin(conn, PLAIN)
    with pytest.raises(asyncpg.UndefinedTableError):
        await conn.execute("select * from not_there")
    with pytest.raises(asyncpg.InFailedSQLTransactionError, match="nothing was committed"):
        await transaction.commit()
    assert not driver.in_transaction(conn)


async def test_a_commit_on_one_server_alone_is_logged(
    postgres: PostgresCluster, conn: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    node = postgres.primary
    node.set(synchronous_standby_names="nobody")
    node.reload()
    transaction = await driver.begin(conn, PLAIN)
    await conn.execute("create table local_only ()")
    commit = asyncio.create_task(transaction.commit())
    waiting = f"select count(*) from pg_stat_activity where pid = {conn.get_server_pid()} and wait_event = 'SyncRep'"
    async with asyncio.timeout(5):
        while node.value(waiting) == "0":
            await asyncio.sleep(0.01)
    node.sql(f"select pg_cancel_backend({conn.get_server_pid()})")
    with caplog.at_level(logging.WARNING, "aioclustersql"):
        await commit
    assert "synchronous replication" in caplog.text
