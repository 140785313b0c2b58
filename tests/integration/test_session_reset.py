"""What one borrower of a pooled connection leaves behind, the next one does not see; what the owner of the pool set up, he does.

Each pool here has one connection, so that the next borrower gets the very same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aioclustersql import Cluster
from aioclustersql.demo.postgres import PostgresCluster
from chaos.leftovers import leftovers
from tests.integration.support import Engine, Galera, Postgres
from tests.servers.galera import GaleraCluster

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("servers_started", "no_leaked_sockets"),
]


@asynccontextmanager
async def one_connection(engine: Engine, **options: Any) -> AsyncIterator[Cluster[Any]]:
    """A pool with one connection; afterwards the server has nothing against us."""
    node = engine.nodes[0]
    async with (
        leftovers(engine) as left,
        engine.cluster({node.name: node.port}, target="read-write", max_size=1, **options) as cluster,
    ):
        yield cluster
    assert left.complaints() == []


@asynccontextmanager
async def next_borrower(cluster: Cluster[Any], before: Any) -> AsyncIterator[Any]:
    """Who gets the connection that somebody has just returned."""
    async with cluster.acquire(timeout=5) as conn:
        assert conn is before, "it was not reset but replaced"
        yield conn


async def do(conn: Any, *statements: str) -> None:
    """Run these on an aiomysql connection."""
    async with conn.cursor() as cursor:
        for statement in statements:
            await cursor.execute(statement)


async def row(conn: Any, sql: str) -> tuple[Any, ...]:
    """The first row, of an aiomysql connection."""
    async with conn.cursor() as cursor:
        await cursor.execute(sql)
        return tuple(await cursor.fetchone())


async def test_postgresql_sessions_come_back_as_new(postgres: PostgresCluster, caplog: pytest.LogCaptureFixture) -> None:
    engine = Postgres(postgres)
    await asyncio.to_thread(postgres.primary.sql, "drop table if exists session_reset; create table session_reset (n int)")
    async with one_connection(engine) as cluster:
        async with cluster.acquire() as conn:
            await conn.execute("select pg_advisory_lock(7)")
            await conn.execute("set search_path to pg_catalog; set app.tenant = 'a'; set statement_timeout = '1h'")
            await conn.execute("create temporary table mine (n int); set session characteristics as transaction read only")
            await conn.execute("listen gossip")
            await conn.execute("set role pg_write_all_data")
            await conn.execute("begin read write; insert into public.session_reset values (1)")
        async with next_borrower(cluster, conn):
            seen = await conn.fetchrow(
                "select current_setting('search_path'), coalesce(current_setting('app.tenant', true), ''), "
                "current_setting('statement_timeout'), current_user::text, current_setting('transaction_read_only'), "
                "to_regclass('mine')::text, (select count(*) from pg_listening_channels()), "
                "(select count(*) from pg_locks where locktype = 'advisory'), (select count(*) from session_reset)"
            )
            assert not conn.is_in_transaction()
    assert tuple(seen) == ('"$user", public', "", "0", "postgres", "off", None, 0, 0, 0)
    assert "returned in a transaction, which is rolled back" in caplog.text


async def test_what_the_owner_of_a_postgresql_pool_set_up_survives(postgres: PostgresCluster) -> None:
    async def init(conn: Any) -> None:
        await conn.execute("set search_path to app, public; set app.tenant = 'ours'; set role pg_monitor")
        await conn.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=lambda text: ("decoded", text))

    options = {"server_settings": {"application_name": "shop", "statement_timeout": "5s", "app.region": "north"}}
    query = (
        "select current_setting('search_path'), current_user::text, current_setting('application_name'), "
        "current_setting('statement_timeout'), current_setting('app.region'), '1'::json"
    )
    async with one_connection(Postgres(postgres), init=init, connect_options=options) as cluster:
        async with cluster.acquire() as conn:
            first = await conn.fetchrow(query)
            await conn.execute("reset role; set search_path to public; set application_name to x; set statement_timeout to 1")
            await conn.execute("set statement_timeout to 0; set app.region = 'south'")
        async with next_borrower(cluster, conn):
            second = await conn.fetchrow(query)
    assert tuple(first) == tuple(second) == ("app, public", "pg_monitor", "shop", "5s", "north", ("decoded", "1"))


async def test_galera_sessions_come_back_as_new(galera: GaleraCluster, caplog: pytest.LogCaptureFixture) -> None:
    query = (
        "SELECT @mine, @@sql_mode = @@global.sql_mode, @@autocommit, DATABASE(), IS_USED_LOCK('mine'), @@character_set_client, "
        "@@tx_isolation = @@global.tx_isolation, @@foreign_key_checks, (SELECT COUNT(*) FROM test.session_reset)"
    )
    await asyncio.to_thread(galera.nodes[0].sql, "CREATE OR REPLACE TABLE test.session_reset (n INT) ENGINE=InnoDB")
    async with one_connection(Galera(galera)) as cluster:
        async with cluster.acquire() as conn:
            first = await row(conn, query)
            await do(
                conn,
                "SET @mine = 1, sql_mode = 'ANSI', tx_isolation = 'SERIALIZABLE', foreign_key_checks = 0",
                "SET NAMES latin1",
                "CREATE TEMPORARY TABLE test.secret (n INT)",
                "USE information_schema",
                "SELECT GET_LOCK('mine', 1)",
                "SET autocommit = 1",
                "START TRANSACTION",
                "INSERT INTO test.session_reset VALUES (1)",
            )
        async with next_borrower(cluster, conn):
            assert not conn.get_transaction_status()
            second = await row(conn, query)
            with pytest.raises(Exception, match="doesn't exist"):
                await do(conn, "SELECT * FROM test.secret")
            await conn.rollback()
    assert first == second == (None, 1, 0, "test", None, "utf8mb4", 1, 1, 0)
    assert "returned in a transaction, which is rolled back" in caplog.text


@pytest.mark.parametrize("autocommit", [False, True, None])
async def test_what_the_owner_of_a_galera_pool_set_up_survives(galera: GaleraCluster, autocommit: bool | None) -> None:
    async def init(conn: Any) -> None:
        await do(conn, "SET @tenant = 'ours', lock_wait_timeout = 7")

    options = {"charset": "latin1", "autocommit": autocommit, "init_command": "SET net_read_timeout = 77"}
    query = "SELECT @tenant, @@lock_wait_timeout, @@net_read_timeout, @@character_set_client, @@autocommit"
    async with one_connection(Galera(galera), init=init, connect_options=options) as cluster:
        async with cluster.acquire() as conn:
            first = await row(conn, query)
            await do(conn, "SET @tenant = 'theirs', lock_wait_timeout = 1, net_read_timeout = 1", "SET NAMES utf8mb4")
            await do(conn, f"SET autocommit = {int(autocommit is False)}")
            await conn.rollback()
        async with next_borrower(cluster, conn):
            second = await row(conn, query)
            await conn.rollback()
    assert first == second == ("ours", 7, 77, "latin1", int(autocommit is not False))
