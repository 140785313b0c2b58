"""asyncpg over several hosts: its pool with defaults, its pool with time-outs, and a connection for each statement.

Two URLs with all hosts, one with target_session_attrs=read-write and one with prefer-standby, are what asyncpg's documentation
of `connect` offers for a cluster; a pool takes the same. Fair because nothing else is asked of it: each unit is one statement,
which commits itself, and `TunedPool` sets every time-out that asyncpg has to about what ours waits by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import asyncpg

from aioclustersql.drivers.asyncpg import AsyncpgDriver
from chaos.clients.sending import Sending, left_open, multi_host, within
from chaos.clients.sql import insert, newest

__all__ = ["Fresh", "Pool", "TunedPool", "unknown"]

_classify = AsyncpgDriver().classify


def unknown(error: BaseException, said: BaseException | None = None) -> bool:
    """As `Client.unknown`. `said`: asyncpg's own error, where another library wraps it."""
    own = said or error
    return left_open(error, _classify(own) if isinstance(own, asyncpg.PostgresError | asyncpg.InterfaceError) else None)


class Pool:
    """`asyncpg.create_pool` with its defaults: ten connections, no time-out for a statement or for acquire."""

    name = "asyncpg pool, multi-host"
    options: ClassVar[Mapping[str, Any]] = {}
    acquire_timeout: float | None = None

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        self._insert, self._newest = insert(table, "$1"), newest(table)
        self._writer = await asyncpg.create_pool(multi_host(urls, "read-write"), **self.options)
        self._reader = await asyncpg.create_pool(multi_host(urls, "prefer-standby"), **self.options)

    async def append(self, key: str) -> None:
        with Sending() as unit:
            async with self._writer.acquire(timeout=self.acquire_timeout) as conn:
                unit.sends()
                await conn.execute(self._insert, key)
                unit.answered()

    async def read(self) -> None:
        async with self._reader.acquire(timeout=self.acquire_timeout) as conn:
            await conn.fetchval(self._newest)

    def unknown(self, error: BaseException) -> bool:
        return unknown(error)

    async def close(self) -> None:
        for pool in (self._writer, self._reader):
            if not await within(2.0, pool.close()):
                pool.terminate()


class TunedPool(Pool):
    """With each time-out that asyncpg has: 1 s for a login (all hosts share it), a statement, and for acquire."""

    name = "asyncpg pool, multi-host, tuned"
    options: ClassVar[Mapping[str, Any]] = {"timeout": 1.0, "command_timeout": 1.0}
    acquire_timeout = 1.0


class Fresh:
    """`asyncpg.connect` for each statement, with its defaults: nothing can be stale, at the price of a login each time."""

    name = "asyncpg connect, multi-host"

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        self._insert, self._newest = insert(table, "$1"), newest(table)
        self._writer, self._reader = multi_host(urls, "read-write"), multi_host(urls, "prefer-standby")

    async def append(self, key: str) -> None:
        with Sending() as unit:
            conn = await asyncpg.connect(self._writer)
            try:
                unit.sends()
                await conn.execute(self._insert, key)
                unit.answered()
            finally:
                await conn.close()

    async def read(self) -> None:
        conn = await asyncpg.connect(self._reader)
        try:
            await conn.fetchval(self._newest)
        finally:
            await conn.close()

    def unknown(self, error: BaseException) -> bool:
        return unknown(error)

    async def close(self) -> None:
        """Nothing is kept between statements."""
