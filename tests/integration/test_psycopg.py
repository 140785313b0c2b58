"""What is psycopg's own on real PostgreSQL servers; what every driver keeps is in test_driver_suite."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from aioclustersql import Cluster
from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.drivers import psycopg as module
from aioclustersql.drivers.base import TransactionOptions
from aioclustersql.drivers.psycopg import PsycopgDriver
from aioclustersql.failure import FailureKind
from aioclustersql.node import Isolation, Role, Target

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

DRIVER = PsycopgDriver()
PLAIN = TransactionOptions()
Connection = psycopg.AsyncConnection[Any]


@contextlib.asynccontextmanager
async def opened(dsn: str, **options: Any) -> AsyncIterator[Connection]:
    endpoint = DRIVER.parse(dsn, options)
    assert endpoint.password is None or isinstance(endpoint.password, str)
    async with asyncio.timeout(20):
        conn = await DRIVER.connect(endpoint, endpoint.password)
        try:
            yield conn
        finally:
            await DRIVER.close(conn)


async def value(conn: Connection, sql: str) -> Any:
    row = await (await conn.execute(sql)).fetchone()
    assert row is not None
    return row[0]


async def test_a_standby_says_so_and_refuses_to_begin_to_write(postgres: PostgresCluster) -> None:
    async with opened(postgres.standbys[0].dsn()) as conn:
        assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.STANDBY
        seen = await DRIVER.probe(conn, causal=False)
        assert (seen.role, seen.timeline is not None, seen.lag is not None) == (Role.STANDBY, True, True)
        with pytest.raises(psycopg.Error) as caught:
            await DRIVER.begin(conn, PLAIN)
        assert DRIVER.classify(caught.value) is FailureKind.ROLE_CHANGED
        assert (DRIVER.in_transaction(conn), conn.autocommit) == (False, False)
        await DRIVER.reset(conn, await DRIVER.baseline(conn))
        transaction = await DRIVER.begin(conn, TransactionOptions(readonly=True))
        assert await value(conn, "select pg_is_in_recovery()")
        await transaction.commit()


async def test_a_role_that_the_server_does_not_report_is_asked_for(
    postgres: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(postgres.standbys[0].dsn()) as conn:
        monkeypatch.setattr(module, "_reported", lambda conn, name: None)  # as before PostgreSQL 14
        assert await DRIVER.validate(conn, Target.ANY) is Role.UNKNOWN
        assert await DRIVER.validate(conn, Target.PREFER_STANDBY) is Role.STANDBY


async def test_psycopgs_own_transaction_nests_inside(postgres: PostgresCluster) -> None:
    async with opened(postgres.primary.dsn()) as conn:
        await conn.execute("create temp table t (x int)")
        await conn.commit()
        outer = await DRIVER.begin(conn, TransactionOptions(Isolation.REPEATABLE_READ))
        assert await value(conn, "show transaction_isolation") == "repeatable read"
        with contextlib.suppress(ZeroDivisionError):
            async with conn.transaction():
                await conn.execute("insert into t values (1)")
                raise ZeroDivisionError
        async with conn.transaction():
            await conn.execute("insert into t values (2)")
        await outer.commit()
        assert [row[0] for row in await (await conn.execute("select x from t")).fetchall()] == [2]


async def test_after_a_users_own_commit_no_transaction_is_open_unseen(postgres: PostgresCluster) -> None:
    async with opened(postgres.primary.dsn()) as conn:
        await DRIVER.begin(conn, PLAIN)
        await conn.execute("commit")
        await conn.execute("select 1")
        assert not DRIVER.in_transaction(conn)
        transaction = await DRIVER.begin(conn, PLAIN)
        await transaction.rollback()
        await DRIVER.reset(conn, None)
        assert not conn.autocommit


async def test_a_commit_that_could_only_roll_back_is_an_error(postgres: PostgresCluster) -> None:
    async with opened(postgres.primary.dsn()) as conn:
        transaction = await DRIVER.begin(conn, PLAIN)
        with pytest.raises(psycopg.errors.UndefinedTable):
            await conn.execute("select * from not_there")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction, match="nothing was committed"):
            await transaction.commit()
        assert not DRIVER.in_transaction(conn)


async def test_a_commit_on_one_server_alone_is_logged(postgres: PostgresCluster, caplog: pytest.LogCaptureFixture) -> None:
    node = postgres.primary
    node.set(synchronous_standby_names="nobody")
    node.reload()
    async with opened(node.dsn()) as conn:
        pid = conn.info.backend_pid
        transaction = await DRIVER.begin(conn, PLAIN)
        await conn.execute("create table psycopg_local_only ()")
        commit = asyncio.create_task(transaction.commit())
        async with asyncio.timeout(5):
            while node.value(f"select count(*) from pg_stat_activity where pid = {pid} and wait_event = 'SyncRep'") == "0":
                await asyncio.sleep(0.01)
        node.sql(f"select pg_cancel_backend({pid})")
        with caplog.at_level(logging.WARNING, "aioclustersql"):
            await commit
    assert "synchronous replication" in caplog.text


async def test_a_reset_takes_back_what_is_set_on_this_side_and_keeps_prepared_statements(postgres: PostgresCluster) -> None:
    async with opened(postgres.primary.dsn(), prepare_threshold=0, server_settings={"work_mem": "7MB"}) as conn:
        for _ in range(2):
            await conn.execute("select %s::int", (7,))
            before = await value(conn, "select count(*) from pg_prepared_statements")
            conn.row_factory = dict_row
            await conn.commit()
            await conn.set_autocommit(True)
            for statement in ("set work_mem = '9MB'", "set role pg_monitor", "listen gossip", "select pg_advisory_lock(7)"):
                await conn.execute(statement)
            await DRIVER.reset(conn, None)
            assert (conn.autocommit, await value(conn, "show work_mem")) == (False, "7MB")
            assert await value(conn, "select current_user::text") == "postgres"
            assert await value(conn, "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()") == 0
            assert await value(conn, "select count(*) from pg_listening_channels()") == 0
            assert await value(conn, "select count(*) from pg_prepared_statements") >= before
            await conn.commit()


async def test_in_the_middle_of_a_copy_there_is_no_reset(postgres: PostgresCluster) -> None:
    async with opened(postgres.primary.dsn()) as conn, conn.cursor() as cursor:
        with pytest.raises(psycopg.OperationalError, match="out of step"):
            async with cursor.copy("copy (select generate_series(1, 100000)) to stdout"):
                await DRIVER.reset(conn, None)


async def test_a_hang_up_is_seen_before_the_connection_is_used(postgres: PostgresCluster) -> None:
    node = postgres.primary
    async with Cluster({"pg1": node.dsn()}, driver="psycopg", monitor_interval=None, max_size=1) as cluster:
        async with cluster.acquire() as conn:
            pid = conn.info.backend_pid
        node.sql(f"select pg_terminate_backend({pid}, 2000)")
        async with cluster.acquire() as conn:
            assert conn.info.backend_pid != pid
            assert await value(conn, "select 1") == 1


async def test_a_frozen_server_holds_nobody_who_is_cancelled(postgres: PostgresCluster) -> None:
    async with opened(postgres.primary.dsn()) as conn:
        running = asyncio.create_task(conn.execute("select pg_sleep(30)"))
        await asyncio.sleep(0.05)
        postgres.primary.freeze()
        running.cancel()
        async with asyncio.timeout(2):  # psycopg alone takes ten seconds
            with pytest.raises(asyncio.CancelledError):
                await running
        assert DRIVER.is_closed(conn)
