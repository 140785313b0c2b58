"""hasql 0.10, the nearest relative: a pool for each host, a task that asks each for its role, a choice at each acquire.

As in its README: `PoolManager` over a URL with all hosts, `ready()`, `acquire_master` to write
and `acquire_replica` to read. Fair because reads may fall back to the master, as ours do, and because `TunedAsyncpg` asks the
hosts ten times a second, with half a second to answer, and gives asyncpg's own time-outs to its pools.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from chaos.clients.sending import Sending, multi_host, within
from chaos.clients.sql import insert, newest

__all__ = ["Asyncpg", "Psycopg", "TunedAsyncpg"]


class _Hasql(ABC):
    parameter: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def manager(self, dsn: str) -> Any:
        """hasql's manager for the driver; it starts tasks at once."""

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        self._insert, self._newest = insert(table, self.parameter), newest(table)
        self._manager = self.manager(multi_host(urls))
        await self._manager.ready()  # of all hosts: closed before, it leaves the pool of a host behind that it has just made

    async def close(self) -> None:
        if not await within(3.0, self._manager.close()):
            await within(2.0, self._manager.terminate())


class Asyncpg(_Hasql):
    """Over asyncpg, with its defaults: asked every second, 30 s to answer; 1 s for acquire."""

    name = "hasql asyncpg"
    parameter = "$1"

    def manager(self, dsn: str) -> Any:
        from hasql.driver.asyncpg import PoolManager

        make: Any = PoolManager
        return make(dsn, fallback_master=True, **self.options)

    async def append(self, key: str) -> None:
        with Sending() as unit:
            async with self._manager.acquire_master() as conn:
                unit.sends()
                await conn.execute(self._insert, key)
                unit.answered()

    async def read(self) -> None:
        async with self._manager.acquire_replica() as conn:
            await conn.fetchval(self._newest)

    def unknown(self, error: BaseException) -> bool:
        from chaos.clients.asyncpg_peer import unknown

        return unknown(error)


class TunedAsyncpg(Asyncpg):
    """Asked every 0.1 s, with 0.5 s to answer, and 1 s for a login and for a statement."""

    name = "hasql asyncpg, tuned"
    options: ClassVar[Mapping[str, Any]] = {
        "refresh_delay": 0.1,
        "refresh_timeout": 0.5,
        "pool_factory_kwargs": {"timeout": 1.0, "command_timeout": 1.0},
    }


class Psycopg(_Hasql):
    """Over psycopg, with its defaults. Its acquire commits nothing, so that is done here."""

    name = "hasql psycopg"
    parameter = "%s"

    def manager(self, dsn: str) -> Any:
        from hasql.driver.psycopg3 import PoolManager

        make: Any = PoolManager
        return make(dsn, fallback_master=True)

    async def append(self, key: str) -> None:
        with Sending() as unit:
            async with self._manager.acquire_master() as conn:
                await conn.execute(self._insert, (key,))
                unit.sends()
                await conn.commit()
                unit.answered()

    async def read(self) -> None:
        async with self._manager.acquire_replica() as conn:
            await (await conn.execute(self._newest)).fetchone()

    def unknown(self, error: BaseException) -> bool:
        from chaos.clients.psycopg_peer import unknown

        return unknown(error)
