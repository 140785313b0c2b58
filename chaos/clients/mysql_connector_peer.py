"""mysql-connector-python's own failover, in its asyncio version: a connection for each unit, and a pool for each server.

`failover=` takes a list of servers with priorities, which are tried from the highest; a `pool_name` in each entry makes it go
through a pool for each server. Both are in its documentation. Fair because it is the only MySQL driver here that knows several
hosts, and `TunedPools` sets all three of its time-outs to what the other tuned peers have.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from uuid import uuid4

from mysql.connector import Error
from mysql.connector.aio import connect, pooling

from aioclustersql.failure import FailureKind
from chaos.clients.by_cursor import ByCursor, meaning_of
from chaos.clients.sending import addresses, within

__all__ = ["Failover", "Pools", "TunedPools"]

_EVERYWHERE: Mapping[str, Any] = {"autocommit": True, "ssl_disabled": True}
"""Without TLS, because it fails on servers without it instead of doing without."""
_FIRST = 100
"""The highest priority that it knows."""


class Failover(ByCursor):
    """`connect(failover=[...])` for each unit, with its defaults: 10 s for the TCP part of a login, none for a statement."""

    name = "mysql-connector, failover"
    options: ClassVar[Mapping[str, Any]] = {}

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        await super().open(urls, table)
        self._servers: list[dict[str, Any]] = [
            {
                "host": node.host,
                "port": node.port,
                "user": node.user,
                "password": node.password or "",
                "database": node.database,
                "priority": _FIRST - place,
            }
            for place, node in enumerate(addresses(urls))
        ]

    async def close(self) -> None:
        """Nothing is kept between units."""

    @asynccontextmanager
    async def cursor(self) -> AsyncIterator[Any]:
        # it changes the entries that it is given
        servers = [dict(server) for server in self._servers]
        conn: Any = await connect(failover=servers, **_EVERYWHERE, **self.options)
        async with conn, await conn.cursor() as cursor:
            yield cursor

    def meaning(self, error: BaseException) -> FailureKind | None:
        return meaning_of(error.errno, error) if isinstance(error, Error) and (error.errno or 0) >= 0 else None


class Pools(Failover):
    """With a pool of its default size, 5, for each server."""

    name = "mysql-connector pools, failover"

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        await super().open(urls, table)
        run = uuid4().hex[:8]  # the names of pools are known to the whole process
        for place, server in enumerate(self._servers):
            server.update(pool_name=f"chaos-{run}-{place}", pool_size=5)

    async def close(self) -> None:
        for server in self._servers:
            # there is no public way to a pool that `connect` has made
            pool = pooling._CONNECTION_POOLS.pop(server["pool_name"], None)
            if pool is not None:
                await within(2.0, pool.close_pool())


class TunedPools(Pools):
    """With 1 s for the TCP part of a login, for each answer and for each write."""

    name = "mysql-connector pools, failover, tuned"
    options: ClassVar[Mapping[str, Any]] = {"connection_timeout": 1, "read_timeout": 1, "write_timeout": 1}
