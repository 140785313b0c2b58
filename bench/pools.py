"""The pools that are compared, each used as its own documentation says, with ten connections open before anything is measured.

Rule: what is measured is the pool's own code: the loops stand here, with nothing of ours around what they repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import aiomysql
import asyncpg
import hasql.asyncpg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from aioclustersql import Cluster
from bench.peers import multi_host
from bench.stands import Stand

__all__ = ["SIZE", "Aiomysql", "Asyncpg", "Hasql", "Ours", "Pool", "Psycopg", "PsycopgEntered", "Settling", "Sqlalchemy"]

SIZE = 10
_aiomysql: Any = aiomysql
_hasql: Any = hasql.asyncpg


class Pool(Protocol):
    """One pool of open connections."""

    name: str
    resets: str
    """What it does to a connection that comes back."""

    async def open(self) -> None:
        """Open it, and all its connections."""
        ...

    async def cycle(self, times: int) -> None:
        """Acquire and release, one after another."""
        ...

    async def query(self, times: int) -> None:
        """Acquire, `SELECT 1`, release, one after another."""
        ...

    async def close(self) -> None:
        """Close it and its connections."""
        ...


@runtime_checkable
class Settling(Protocol):
    """A pool that does in the background what is no task."""

    async def settle(self) -> None:
        """Until that is done."""
        ...


class Ours:
    """`Cluster.acquire`. `reset=False` rolls back an open transaction and does nothing else."""

    def __init__(self, stand: Stand, nodes: int = 1, *, reset: bool, monitor: bool = True, size: int = SIZE) -> None:
        said = [f"{nodes} nodes"] * (nodes > 1) + ["no monitor"] * (not monitor)
        self.name = ", ".join(["aioclustersql", *said])
        self.resets = "all" if reset else "nothing"
        self._size = size
        self._query = _aiomysql_query if stand.driver == "aiomysql" else _asyncpg_query
        self.cluster: Cluster[Any] = Cluster(
            {f"node{number}": stand.url(number) for number in range(nodes)},
            min_size=-(-size // nodes),
            target="any",
            max_size=size,
            max_total=size if nodes > 1 else None,
            reset=None if reset else False,
            monitor_interval=1.0 if monitor else None,
        )

    async def open(self) -> None:
        await self.cluster.open()
        await _hold_all(self._size, self.cluster.acquire)
        async with asyncio.timeout(10):
            await self.settle()

    async def settle(self) -> None:
        """Until every connection is idle: not all resets are tasks."""
        while sum(node.idle for node in self.cluster.stats().nodes.values()) < self._size:
            await asyncio.sleep(0)

    async def cycle(self, times: int) -> None:
        acquire = self.cluster.acquire
        for _ in range(times):
            async with acquire():
                pass

    async def query(self, times: int) -> None:
        acquire, query = self.cluster.acquire, self._query
        for _ in range(times):
            async with acquire() as conn:
                await query(conn)

    async def close(self) -> None:
        await self.cluster.close()


class Asyncpg:
    """`asyncpg.Pool`. Its reset leaves temporary tables, the role and `currval()`."""

    name = "asyncpg"

    def __init__(self, stand: Stand, *, reset: bool, size: int = SIZE) -> None:
        self.resets = "most" if reset else "nothing"
        self._url = stand.url(0)
        self._options: dict[str, Any] = {} if reset else {"reset": _leave_as_it_is}
        self._size = size
        self._pool: Any = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(self._url, min_size=self._size, max_size=self._size, **self._options)

    async def cycle(self, times: int) -> None:
        acquire = self._pool.acquire
        for _ in range(times):
            async with acquire():
                pass

    async def query(self, times: int) -> None:
        acquire = self._pool.acquire
        for _ in range(times):
            async with acquire() as conn:
                await conn.fetchval("SELECT 1")

    async def close(self) -> None:
        await self._pool.close()


class Psycopg:
    """`psycopg_pool.AsyncConnectionPool` by `getconn` and `putconn`, which are the least that it can do."""

    name = "psycopg_pool, get/put"
    resets = "nothing"

    def __init__(self, stand: Stand) -> None:
        options = {"autocommit": True}
        self._pool: Any = AsyncConnectionPool(stand.url(0), min_size=SIZE, max_size=SIZE, kwargs=options, open=False)

    async def open(self) -> None:
        await self._pool.open(wait=True)

    async def cycle(self, times: int) -> None:
        getconn, putconn = self._pool.getconn, self._pool.putconn
        for _ in range(times):
            conn = await getconn()
            await putconn(conn)

    async def query(self, times: int) -> None:
        getconn, putconn = self._pool.getconn, self._pool.putconn
        for _ in range(times):
            conn = await getconn()
            try:
                await conn.execute("SELECT 1")
            finally:
                await putconn(conn)

    async def close(self) -> None:
        await self._pool.close()


class PsycopgEntered(Psycopg):
    """By `connection()`, which its documentation recommends: at the end it commits or rolls back what is open."""

    name = "psycopg_pool"

    async def cycle(self, times: int) -> None:
        connection = self._pool.connection
        for _ in range(times):
            async with connection():
                pass

    async def query(self, times: int) -> None:
        connection = self._pool.connection
        for _ in range(times):
            async with connection() as conn:
                await conn.execute("SELECT 1")


class Sqlalchemy:
    """SQLAlchemy's pool behind `AsyncEngine.connect`. Its reset is a rollback."""

    name = "SQLAlchemy"

    def __init__(self, stand: Stand, *, reset: bool) -> None:
        self.resets = "rollback" if reset else "nothing"
        url = urlsplit(stand.url(0))._replace(query="", scheme=f"{urlsplit(stand.url(0)).scheme}+{stand.driver}")
        self._engine = create_async_engine(
            url.geturl(), pool_size=SIZE, max_overflow=0, pool_reset_on_return="rollback" if reset else None
        )

    async def open(self) -> None:
        await _hold_all(SIZE, self._engine.connect)

    async def cycle(self, times: int) -> None:
        connect = self._engine.connect
        for _ in range(times):
            async with connect():
                pass

    async def query(self, times: int) -> None:
        connect, statement = self._engine.connect, text("SELECT 1")
        for _ in range(times):
            async with connect() as conn:
                await conn.execute(statement)

    async def close(self) -> None:
        await self._engine.dispose()


class Hasql:
    """hasql's manager over asyncpg's pools, one for each host; its reset is asyncpg's."""

    name = "hasql"
    resets = "most"

    def __init__(self, urls: Sequence[str], *, size: int = SIZE) -> None:
        self._url = multi_host(urls)
        self._size = -(-size // len(urls))
        self._manager: Any = None

    async def open(self) -> None:
        sizes = {"min_size": self._size, "max_size": self._size}
        self._manager = _hasql.PoolManager(self._url, pool_factory_kwargs=sizes)
        await self._manager.ready()

    async def cycle(self, times: int) -> None:
        acquire = self._manager.acquire_master
        for _ in range(times):
            async with acquire():
                pass

    async def query(self, times: int) -> None:
        acquire = self._manager.acquire_master
        for _ in range(times):
            async with acquire() as conn:
                await conn.fetchval("SELECT 1")

    async def close(self) -> None:
        await self._manager.close()


class Aiomysql:
    """`aiomysql.Pool`. It resets nothing; what comes back in a transaction is closed."""

    name = "aiomysql"
    resets = "nothing"

    def __init__(self, stand: Stand) -> None:
        url = urlsplit(stand.url(0))
        self._options = {
            "host": url.hostname,
            "port": url.port,
            "user": url.username,
            "password": url.password,
            "db": url.path.lstrip("/"),
        }
        self._pool: Any = None

    async def open(self) -> None:
        self._pool = await _aiomysql.create_pool(minsize=SIZE, maxsize=SIZE, **self._options)

    async def cycle(self, times: int) -> None:
        acquire = self._pool.acquire
        for _ in range(times):
            async with acquire():
                pass

    async def query(self, times: int) -> None:
        acquire = self._pool.acquire
        for _ in range(times):
            async with acquire() as conn:
                await _aiomysql_query(conn)

    async def close(self) -> None:
        self._pool.close()
        await self._pool.wait_closed()


async def _asyncpg_query(conn: Any) -> None:
    await conn.fetchval("SELECT 1")


async def _aiomysql_query(conn: Any) -> None:
    async with conn.cursor() as cursor:
        await cursor.execute("SELECT 1")
        await cursor.fetchone()


async def _leave_as_it_is(conn: Any) -> None:
    pass


async def _hold_all(size: int, acquire: Callable[[], Any]) -> None:
    """Take so many connections at the same time, so that all of them are open, and give them back."""
    all_there = asyncio.Barrier(size)

    async def hold() -> None:
        async with acquire():
            await all_there.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(size):
            group.create_task(hold())
