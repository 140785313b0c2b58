"""psycopg_pool over several hosts: with its defaults, and with a check of each connection and short time-outs.

A conninfo with all hosts and target_session_attrs is libpq's own way to a cluster; `pool.connection()`, which commits at the
end of its block, is what the pool's documentation recommends. Fair because `TunedPool` adds what that documentation has against
broken connections (`check=`), libpq's time-outs, and, as psycopg has none for a statement, one of asyncio around each unit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import psycopg
from psycopg_pool import AsyncConnectionPool

from aioclustersql.drivers.postgres.errors import classify_sqlstate
from chaos.clients.sending import Sending, left_open, multi_host, within
from chaos.clients.sql import insert, newest

__all__ = ["Pool", "TunedPool", "unknown"]


def unknown(error: BaseException) -> bool:
    """As `Client.unknown`, of an error that psycopg raised."""
    if not isinstance(error, psycopg.Error) or error.sqlstate is None:
        return left_open(error, None)
    return left_open(error, classify_sqlstate(error.sqlstate, severity=error.diag.severity_nonlocalized))


class Pool:
    """`AsyncConnectionPool` with its defaults: four connections, 30 s to get one, none is checked."""

    name = "psycopg_pool, multi-host"
    options: ClassVar[Mapping[str, Any]] = {}
    unit_timeout: float | None = None

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        self._insert, self._newest = insert(table, "%s"), newest(table)
        self._writer = AsyncConnectionPool(multi_host(urls, "read-write"), open=False, **self.options)
        self._reader = AsyncConnectionPool(multi_host(urls, "prefer-standby"), open=False, **self.options)
        for pool in (self._writer, self._reader):
            await pool.open(wait=True)

    async def append(self, key: str) -> None:
        with Sending() as unit:
            async with asyncio.timeout(self.unit_timeout), self._writer.connection() as conn:
                await conn.execute(self._insert, (key,))
                unit.sends()  # the end of the block commits

    async def read(self) -> None:
        async with asyncio.timeout(self.unit_timeout), self._reader.connection() as conn:
            await (await conn.execute(self._newest)).fetchone()

    def unknown(self, error: BaseException) -> bool:
        return unknown(error)

    async def close(self) -> None:
        for pool in (self._writer, self._reader):
            await within(5.0, pool.close(timeout=2.0))


class TunedPool(Pool):
    """With `check=`, 2 s for a host's login (libpq knows no less), and 1 s for lost packets, a connection, and a whole unit."""

    name = "psycopg_pool, multi-host, tuned"
    options: ClassVar[Mapping[str, Any]] = {
        "check": AsyncConnectionPool.check_connection,
        "timeout": 1.0,
        "kwargs": {"connect_timeout": 2, "tcp_user_timeout": 1000, "keepalives_idle": 1, "keepalives_interval": 1},
    }
    unit_timeout = 1.0
