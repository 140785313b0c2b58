"""aiomysql knows one host. A list of hosts tried in order is what applications write around it, and so does this one.

The pool of the first host that lets us in is used until a unit meets a lost connection or a node that serves nothing; then it
is given up and the next unit tries the list again. Fair because it is the pool of aiomysql's documentation, `connect_timeout`
is set, the reaction to errors is immediate, and `TunedHostList` puts a time-out around everything, as aiomysql itself has none
but for the TCP part of a login.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiomysql
import pymysql

from aioclustersql.dsn import Url
from aioclustersql.failure import FailureKind
from chaos.clients.by_cursor import ByCursor, meaning_of
from chaos.clients.sending import addresses, within

__all__ = ["HostList", "TunedHostList"]

_create_pool: Any = aiomysql.create_pool
_MOVE_ON = frozenset(
    {FailureKind.NOT_READY, FailureKind.SESSION_LOST, FailureKind.UNREACHABLE, FailureKind.OVERLOADED, FailureKind.ROLE_CHANGED}
)


class HostList(ByCursor):
    """`aiomysql.create_pool` with its defaults but for autocommit, on the first host of the list that works."""

    name = "aiomysql pool, host list"
    timeout: float | None = None
    """Seconds for a login and for a unit."""

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        await super().open(urls, table)
        self._nodes = addresses(urls)
        self._choosing = asyncio.Lock()
        self._pool: Any = None
        self._leaving: set[asyncio.Task[bool]] = set()
        await self._current()

    async def close(self) -> None:
        if self._pool is not None:
            self._leave(self._pool, cut=True)
        await asyncio.gather(*self._leaving)

    @asynccontextmanager
    async def cursor(self) -> AsyncIterator[Any]:
        pool = await self._current()
        try:
            async with asyncio.timeout(self.timeout), pool.acquire() as conn, conn.cursor() as cursor:
                yield cursor
        except (TimeoutError, OSError):
            self._leave(pool, cut=True)
            raise
        except pymysql.err.MySQLError as error:
            if (what := self.meaning(error)) in _MOVE_ON:
                self._leave(pool, cut=what is FailureKind.SESSION_LOST)
            raise

    def meaning(self, error: BaseException) -> FailureKind | None:
        return meaning_of(error.args[0], error) if isinstance(error, pymysql.err.MySQLError) and error.args else None

    async def _current(self) -> Any:
        async with self._choosing:
            if self._pool is None:
                self._pool = await self._first_that_works()
            return self._pool

    async def _first_that_works(self) -> Any:
        errors: list[Exception] = []
        for node in self._nodes:
            try:
                async with asyncio.timeout(self.timeout):
                    return await _pool_of(node)
            except (OSError, TimeoutError, pymysql.err.MySQLError) as error:
                errors.append(error)
        raise OSError("no host works") from errors[-1]

    def _leave(self, pool: Any, *, cut: bool) -> None:
        """Use this pool no more. `cut`: what is under way there hangs, or is lost anyway; else it may end."""
        if self._pool is pool:
            self._pool = None
        if cut:
            pool.terminate()
        else:
            pool.close()
        self._leaving.add(asyncio.create_task(within(2.0, pool.wait_closed()), name="chaos: leaving a host"))


class TunedHostList(HostList):
    """With 1 s for a login and for a unit; when they are over the next host's turn comes."""

    name = "aiomysql pool, host list, tuned"
    timeout = 1.0


async def _pool_of(node: Url) -> Any:
    address = {"host": node.host, "port": node.port, "user": node.user, "password": node.password or "", "db": node.database}
    return await _create_pool(**address, autocommit=True, connect_timeout=2)
