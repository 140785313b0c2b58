"""The conformance suite on real servers, for the five drivers; what is a driver's own is in test_<driver>_*.py.

MariaDB stands for MySQL here: there is no MySQL server among the tests' servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiomysql
import aiosqlite
import asyncmy
import asyncpg
import psycopg
import pytest
import uvloop

from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.drivers import by_name
from aioclustersql.failure import FailureKind
from aioclustersql.testing.driver_suite import DriverSuite, LoginPromises, NetworkDriverSuite, NetworkPromises, Stand
from tests.servers.galera import GaleraCluster

pytestmark = pytest.mark.integration


async def cursor_rows(conn: Any, sql: str) -> Sequence[Sequence[Any]]:
    """Of a driver of the DB-API's kind."""
    async with conn.cursor() as cursor:
        await cursor.execute(sql)
        return list(await cursor.fetchall()) if cursor.description else []


class OnMariaDB:
    """A node of the Galera cluster."""

    name: str
    native: type

    @pytest.fixture
    def stand(self, galera: GaleraCluster) -> Stand:
        node = galera.nodes[1]

        async def kill(conn: Any) -> None:
            await asyncio.to_thread(node.sql, f"KILL {conn.thread_id()}")

        return Stand(
            driver=by_name(self.name),
            dsn=node.dsn("app"),
            native=self.native,
            rows=cursor_rows,
            slow="SELECT SLEEP(30)",
            set_setting="SET sql_mode='ANSI'",
            show_setting="SELECT @@sql_mode",
            address=(node.host, node.port),
            dsn_at=lambda port: f"mysql://app:pw@127.0.0.1:{port}/test",
            kill=kill,
            refused={
                f"mysql://app:wrong@{node.host}:{node.port}/test": FailureKind.CONFIGURATION,
                f"mysql://app:pw@{node.host}:{node.port}/missing": FailureKind.CONFIGURATION,
                "mysql://app:pw@no-such-host.invalid/test": FailureKind.CONFIGURATION,
            },
        )


class TestAiomysql(OnMariaDB, NetworkDriverSuite):
    name, native = "aiomysql", aiomysql.Connection


class TestAsyncmy(OnMariaDB, NetworkDriverSuite):
    name, native = "asyncmy", asyncmy.Connection


class TestAsyncmyOnUvloop(OnMariaDB, LoginPromises, NetworkPromises):
    name, native = "asyncmy", asyncmy.Connection
    loop_factory = staticmethod(uvloop.new_event_loop)


class OnPostgres:
    """The primary."""

    name: str
    native: type

    @staticmethod
    async def rows(conn: Any, sql: str) -> Sequence[Sequence[Any]]:
        raise NotImplementedError

    @staticmethod
    def pid(conn: Any) -> int:
        raise NotImplementedError

    @pytest.fixture
    def stand(self, postgres: PostgresCluster) -> Stand:
        node = postgres.primary

        async def kill(conn: Any) -> None:
            await asyncio.to_thread(node.sql, f"select pg_terminate_backend({self.pid(conn)}, 2000)")

        def dsn_at(port: int, user: str = "postgres", database: str = "postgres") -> str:
            return f"postgresql://{user}:not-asked-for@127.0.0.1:{port}/{database}"

        return Stand(
            driver=by_name(self.name),
            dsn=dsn_at(node.port),
            native=self.native,
            rows=self.rows,
            slow="select pg_sleep(30)",
            set_setting="set work_mem = '7MB'",
            show_setting="show work_mem",
            options={"server_settings": {"client_connection_check_interval": "50ms"}},  # else a cut session sleeps on
            address=("127.0.0.1", node.port),
            dsn_at=dsn_at,
            kill=kill,
            refused={
                dsn_at(node.port, user="nobody_there"): FailureKind.CONFIGURATION,
                dsn_at(node.port, database="missing"): FailureKind.CONFIGURATION,
                dsn_at(node.port, database="template0"): FailureKind.CONFIGURATION,
                dsn_at(node.port) + "?work_mem=lots": FailureKind.CONFIGURATION,
                "postgresql://postgres@no-such-host.invalid/postgres": FailureKind.CONFIGURATION,
            },
        )


class TestAsyncpg(OnPostgres, NetworkDriverSuite):
    name, native = "asyncpg", asyncpg.Connection

    @staticmethod
    async def rows(conn: asyncpg.Connection[Any], sql: str) -> Sequence[Sequence[Any]]:
        return [tuple(row) for row in await conn.fetch(sql)]

    @staticmethod
    def pid(conn: asyncpg.Connection[Any]) -> int:
        return conn.get_server_pid()


class OnPsycopg(OnPostgres):
    name, native = "psycopg", psycopg.AsyncConnection

    @staticmethod
    async def rows(conn: psycopg.AsyncConnection[Any], sql: str) -> Sequence[Sequence[Any]]:
        return await cursor_rows(conn, sql)

    @staticmethod
    def pid(conn: psycopg.AsyncConnection[Any]) -> int:
        return conn.info.backend_pid


class TestPsycopg(OnPsycopg, NetworkDriverSuite):
    pass


class TestPsycopgOnUvloop(OnPsycopg, LoginPromises, NetworkPromises):
    loop_factory = staticmethod(uvloop.new_event_loop)


class TestAiosqlite(DriverSuite):
    @pytest.fixture
    def stand(self, tmp_path: Path) -> Stand:
        (tmp_path / "text.db").write_text("this is no database at all, however long it is " * 20)
        return Stand(
            driver=by_name("aiosqlite"),
            dsn=f"sqlite:///{tmp_path}/shop.db?timeout=0.2",
            native=aiosqlite.Connection,
            rows=cursor_rows,
            slow="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
            set_setting="PRAGMA foreign_keys=1",
            show_setting="PRAGMA foreign_keys",
            refused={
                f"sqlite:///{tmp_path}/missing/shop.db": FailureKind.CONFIGURATION,
                f"sqlite:///{tmp_path}/text.db": FailureKind.CONFIGURATION,
            },
        )
