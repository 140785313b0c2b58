"""Logins through the asyncpg driver alone, for the tests that ask what it does on real servers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from aioclustersql.drivers.asyncpg import AsyncpgDriver

__all__ = ["connected", "driver"]

driver = AsyncpgDriver()


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
