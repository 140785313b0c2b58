"""What the asyncpg driver makes of options, and what it knows of a server's role."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.node import Role, Target
from tests.integration.logins import connected, driver

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]


async def test_options_reach_the_server_and_the_client(postgres: PostgresCluster) -> None:
    class Record(asyncpg.Record):
        pass

    dsn = f"{postgres.primary.dsn()}?application_name=web&options=-c%20geqo%3Doff&statement_timeout=7s&command_timeout=9"
    endpoint = driver.override(driver.parse(dsn, {}), {"server_settings": {"jit": False}, "record_class": Record})
    conn = await driver.connect(endpoint, None)
    try:
        names = ("application_name", "geqo", "statement_timeout", "jit")
        assert [await conn.fetchval(f"show {name}") for name in names] == ["web", "off", "7s", "off"]
        assert isinstance(await conn.fetchrow("select 1"), Record)
    finally:
        await driver.close(conn)


async def test_roles_are_known_without_a_query(postgres: PostgresCluster) -> None:
    wanted = {postgres.nodes[0]: Role.PRIMARY, postgres.nodes[1]: Role.STANDBY, postgres.nodes[2]: Role.STANDBY}
    for node, role in wanted.items():
        async with connected(node.dsn()) as conn:
            queries: list[Any] = []
            conn.add_query_logger(queries.append)
            assert await driver.validate(conn, Target.READ_WRITE) is role
            assert queries == []
    async with connected(postgres.primary.dsn() + "?default_transaction_read_only=on") as conn:
        assert await driver.validate(conn, Target.READ_WRITE) is Role.READ_ONLY


async def test_a_login_right_after_the_promotion_sees_the_primary(postgres: PostgresCluster) -> None:
    standby = postgres.nodes[1]
    async with connected(standby.dsn()) as before:
        await asyncio.to_thread(standby.promote)
        async with connected(standby.dsn()) as after:
            assert await driver.validate(after, Target.PRIMARY) is Role.PRIMARY
        await before.fetchval("select 1")  # what an older connection knows is renewed with its next answer
        assert await driver.validate(before, Target.PRIMARY) is Role.PRIMARY


async def test_a_server_that_reports_no_role_is_asked(postgres: PostgresCluster) -> None:
    class Silent(asyncpg.Connection):
        """What PostgreSQL 13 reports at login, and poolers: nothing of the role."""

        def get_settings(self) -> Any:
            return object()

    for node, role in {postgres.nodes[0]: Role.PRIMARY, postgres.nodes[1]: Role.STANDBY}.items():
        async with connected(node.dsn(), connection_class=Silent) as conn:
            assert await driver.validate(conn, Target.ANY) is Role.UNKNOWN
            assert await driver.validate(conn, Target.READ_WRITE) is role
    async with connected(postgres.primary.dsn() + "?default_transaction_read_only=on", connection_class=Silent) as conn:
        assert await driver.validate(conn, Target.READ_WRITE) is Role.READ_ONLY
