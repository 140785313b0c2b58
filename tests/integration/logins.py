"""Logins through a driver alone, for the tests that ask what it does on real servers."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiomysql
import asyncpg

from aioclustersql.drivers.aiomysql import AiomysqlDriver
from aioclustersql.drivers.asyncpg import AsyncpgDriver
from aioclustersql.node import Target

__all__ = ["connected", "driver", "mysql_connected", "mysql_driver", "rows", "value"]

driver = AsyncpgDriver()
mysql_driver = AiomysqlDriver()


@contextlib.asynccontextmanager
async def connected(dsn: str, **options: Any) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection for a block, as the driver opens and closes it."""
    endpoint = driver.parse(dsn, options)
    password = endpoint.password
    assert password is None or isinstance(password, str)
    async with asyncio.timeout(20):
        conn = await driver.connect(endpoint, password)
        try:
            yield conn
        finally:
            await driver.close(conn)
    assert driver.is_closed(conn)


@contextlib.asynccontextmanager
async def mysql_connected(dsn: str, **options: Any) -> AsyncIterator[aiomysql.Connection]:
    """A connection for a block, as the cluster hands it out: logged in and validated."""
    endpoint = mysql_driver.parse(dsn, options)
    password = endpoint.password
    assert password is None or isinstance(password, str)
    async with asyncio.timeout(30):
        conn = await mysql_driver.connect(endpoint, password)
        try:
            await mysql_driver.validate(conn, Target.ANY)
            yield conn
        finally:
            await mysql_driver.close(conn)


async def rows(conn: aiomysql.Connection, sql: str) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows."""
    async with conn.cursor(aiomysql.Cursor) as cursor:
        await cursor.execute(sql)
        return list(await cursor.fetchall())


async def value(conn: aiomysql.Connection, sql: str) -> Any:
    """The only value of the only row."""
    ((found,),) = await rows(conn, sql)
    return found
