"""The ways to one connection to a cluster of several hosts: ours, and what users take instead, each as its documentation says.

Rule: nobody is tuned. Where a peer knows no list of hosts, there is what its users write by hand: the hosts in their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import aiomysql
import asyncpg
import hasql.asyncpg
import psycopg
from mysql.connector import aio as mysql_connector
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from aioclustersql import Cluster

__all__ = ["Connector", "Naive", "Ours", "OursPooled", "Raw", "address", "multi_host", "peers", "with_port"]

_aiomysql: Any = aiomysql
_hasql: Any = hasql.asyncpg
_mysql: Any = mysql_connector


class Connector(Protocol):
    """One library's way to a connection, to any of the URLs it was made with."""

    name: str

    async def connect(self) -> Any:
        """A usable connection."""
        ...

    async def goodbye(self, conn: Any) -> None:
        """End the connection as the documentation says."""
        ...

    async def close(self) -> None:
        """The way is not used any more."""
        ...


class Raw:
    """The driver's own connect to the first host."""

    name = "raw"

    def __init__(self, urls: Sequence[str], name: str = "") -> None:
        self._url = urlsplit(urls[0])
        self.name = name or self.name

    async def connect(self) -> Any:
        return await _login(self._url)

    async def goodbye(self, conn: Any) -> None:
        await _goodbye(conn)

    async def close(self) -> None:
        pass


class Ours:
    """`Cluster.connect`; `at_once` with `stagger=0`."""

    def __init__(self, urls: Sequence[str], *, at_once: bool = False) -> None:
        self.name = "stagger=0" if at_once else "warm"
        self.cluster: Cluster[Any] = Cluster(
            {f"node{number}": url for number, url in enumerate(urls)}, stagger=0 if at_once else "auto"
        )

    async def connect(self) -> Any:
        return await self.cluster.connect()

    async def goodbye(self, conn: Any) -> None:
        await _goodbye(conn)

    async def close(self) -> None:
        await self.cluster.close()


class OursPooled(Ours):
    """`open` and `acquire`: what an application waits for at its start."""

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(urls)
        self.name = "aioclustersql, open + acquire"
        self._opened = False

    async def connect(self) -> Any:
        if not self._opened:
            await self.cluster.open()
            self._opened = True
        return await self.cluster.acquire()

    async def goodbye(self, conn: Any) -> None:
        await self.cluster.release(conn)


class Naive:
    """What a user would write: everywhere at once, the first wins, the others finish and are closed.

    They are not cancelled: that takes the user longer to get right, and on MySQL and MariaDB a hundred cut logins make the
    server block the client's host. No time-out, no check that the winner serves, no memory.
    """

    name = "naive"

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [urlsplit(url) for url in urls]
        self._losers: set[asyncio.Task[None]] = set()

    async def connect(self) -> Any:
        pending = {asyncio.create_task(_login(url)) for url in self._urls}
        winner = error = None
        while pending and winner is None:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if winner is not None:
                    pending.add(task)
                elif (error := task.exception()) is None:
                    winner = task.result()
        for task in pending:
            self._losers.add(loser := asyncio.create_task(self._close(task)))
            loser.add_done_callback(self._losers.discard)
        if winner is None:
            raise error or OSError("there is no node")
        return winner

    async def _close(self, login: asyncio.Task[Any]) -> None:
        await _goodbye(await login)

    async def goodbye(self, conn: Any) -> None:
        await _goodbye(conn)

    async def close(self) -> None:
        if self._losers:
            await asyncio.wait(self._losers, timeout=10)


class Asyncpg:
    """`asyncpg.connect` with several hosts: in their order."""

    name = "asyncpg, multi-host"

    def __init__(self, urls: Sequence[str]) -> None:
        parts = [urlsplit(url) for url in urls]
        self._hosts: Any = [each.hostname for each in parts]
        self._ports: Any = [each.port for each in parts]

    async def connect(self) -> Any:
        return await asyncpg.connect(host=self._hosts, port=self._ports, user="postgres", database="postgres")

    async def goodbye(self, conn: Any) -> None:
        await conn.close()

    async def close(self) -> None:
        pass


class Psycopg:
    """`psycopg.AsyncConnection.connect` with several hosts: in their order."""

    name = "psycopg, multi-host"

    def __init__(self, urls: Sequence[str]) -> None:
        self._url = multi_host(urls)

    async def connect(self) -> Any:
        return await psycopg.AsyncConnection.connect(self._url)

    async def goodbye(self, conn: Any) -> None:
        await conn.close()

    async def close(self) -> None:
        pass


class Hasql:
    """`hasql.asyncpg.PoolManager`: a pool for every host, and the primary's connection."""

    name = "hasql"

    def __init__(self, urls: Sequence[str]) -> None:
        self._url = multi_host(urls)
        self._manager: Any = None

    async def connect(self) -> Any:
        if self._manager is None:  # it starts its tasks when it is made
            self._manager = _hasql.PoolManager(self._url, acquire_timeout=60)
        return await self._manager.acquire_master()

    async def goodbye(self, conn: Any) -> None:
        await self._manager.release(conn)

    async def close(self) -> None:
        if self._manager is not None:
            await self._manager.terminate()


class Sqlalchemy:
    """`AsyncEngine.connect` without a pool, on asyncpg with several hosts in the URL."""

    name = "SQLAlchemy, multi-host"

    def __init__(self, urls: Sequence[str]) -> None:
        hosts = "&".join(f"host={each.hostname}:{each.port}" for each in map(urlsplit, urls))
        self._engine = create_async_engine(f"postgresql+asyncpg://postgres@/postgres?{hosts}", poolclass=NullPool)

    async def connect(self) -> Any:
        return await self._engine.connect()

    async def goodbye(self, conn: Any) -> None:
        await conn.close()

    async def close(self) -> None:
        await self._engine.dispose()


class Aiomysql:
    """`aiomysql.connect` to one host after the other."""

    name = "aiomysql, in order"

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [urlsplit(url) for url in urls]

    async def connect(self) -> Any:
        error: Exception | None = None
        for url in self._urls:
            try:
                return await _login(url)
            except Exception as exc:  # noqa: BLE001 - whatever it is, the next host may do
                error = exc
        raise error or OSError("there is no node")

    async def goodbye(self, conn: Any) -> None:
        await _goodbye(conn)

    async def close(self) -> None:
        pass


class MysqlConnector:
    """`mysql.connector.aio.connect(failover=...)`, the first host with the highest priority."""

    name = "mysql-connector, failover"

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [urlsplit(url) for url in urls]

    async def connect(self) -> Any:
        url = self._urls[0]
        servers = [{"host": each.hostname, "port": each.port, "priority": 100 - n} for n, each in enumerate(self._urls)]
        options = {"user": url.username, "password": url.password, "database": url.path.lstrip("/")}
        # It does not go on without TLS by itself, and the servers of the benchmark have none.
        return await _mysql.connect(**options, failover=servers, ssl_disabled=True)

    async def goodbye(self, conn: Any) -> None:
        await conn.close()

    async def close(self) -> None:
        pass


_PEERS: Mapping[str, Sequence[Callable[[Sequence[str]], Connector]]] = {
    "asyncpg": (Asyncpg, Psycopg, Sqlalchemy, Hasql),
    "aiomysql": (Aiomysql, MysqlConnector),
}


def peers(driver: str, urls: Sequence[str], *, pooled: bool = False) -> list[Connector]:
    """What users of that driver may take instead of us; with `pooled` those, too, whose connect waits for a pool of their own."""
    return [make(urls) for make in _PEERS[driver] if pooled or make is not Hasql]


def multi_host(urls: Sequence[str]) -> str:
    """One PostgreSQL URL for all, as libpq writes it."""
    parts = [urlsplit(url) for url in urls]
    first = parts[0]
    return f"postgresql://{first.username}@{','.join(f'{each.hostname}:{each.port}' for each in parts)}{first.path}"


def address(url: str) -> tuple[str, int]:
    """Host and port. Raises `ValueError` for a URL without them."""
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise ValueError("the URL has no host or no port")
    return parts.hostname, parts.port


def with_port(url: str, port: int) -> str:
    """The URL of the same server through a port of 127.0.0.1."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()


async def _login(url: SplitResult) -> Any:
    if url.scheme == "mysql":
        options = {"user": url.username, "password": url.password, "db": url.path.lstrip("/")}
        return await _aiomysql.connect(host=url.hostname, port=url.port, **options)
    return await asyncpg.connect(host=url.hostname, port=url.port, user=url.username, database=url.path.lstrip("/"))


async def _goodbye(conn: Any) -> None:
    if hasattr(conn, "ensure_closed"):
        await conn.ensure_closed()
    else:
        await conn.close()
