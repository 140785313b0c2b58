"""The pools once more, with a least and a most of connections, for what depends on how a pool grows and what a
connection costs.

Unlike in `pools`, where nothing of ours stands around what is timed, all have the same few methods here: what is measured takes
milliseconds or bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiomysql
import asyncpg
import hasql.asyncpg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from aioclustersql import Cluster
from bench.peers import multi_host

__all__ = ["OURS", "Elastic", "Make", "makers"]

OURS = "aioclustersql"
_aiomysql: Any = aiomysql
_hasql_asyncpg: Any = hasql.asyncpg


@dataclass(frozen=True)
class Elastic:
    """An open pool. `lease` is entered for a connection, `ask` has it execute a statement, `close` ends the pool."""

    lease: Callable[[], AbstractAsyncContextManager[Any]]
    ask: Callable[[Any, str], Awaitable[Any]]
    close: Callable[[], Awaitable[Any]]


Make = Callable[[Sequence[str], int, int], Awaitable[Elastic]]
"""Opens a pool over these URLs, with so many connections at least and at most; most peers use the first URL alone."""


def makers(driver: str, *, several_hosts: bool = False) -> Mapping[str, Make]:
    """By name, ours first; with `several_hosts` only those that spread over all the URLs."""
    found: dict[str, Make] = {OURS: _ours}
    if driver == "aiomysql":
        return found if several_hosts else {**found, "aiomysql": _aiomysql_pool, "SQLAlchemy": _sqlalchemy}
    if several_hosts:
        return {**found, "hasql": _hasql}
    return {**found, "asyncpg": _asyncpg, "psycopg_pool": _psycopg, "SQLAlchemy": _sqlalchemy, "hasql": _hasql}


async def _ours(urls: Sequence[str], least: int, most: int) -> Elastic:
    nodes = {f"node{number}": url for number, url in enumerate(urls)}
    share = -(-least // len(urls))
    cluster: Cluster[Any] = Cluster(nodes, target="any", min_size=share, max_size=most, max_total=max(most, share * len(urls)))
    await cluster.open()
    await cluster.wait_ready(nodes=len(urls), target="any", timeout=30)
    return Elastic(cluster.acquire, _ask, cluster.close)


async def _asyncpg(urls: Sequence[str], least: int, most: int) -> Elastic:
    pool: Any = await asyncpg.create_pool(urls[0], min_size=least, max_size=most)
    return Elastic(pool.acquire, _ask, pool.close)


async def _psycopg(urls: Sequence[str], least: int, most: int) -> Elastic:
    pool: Any = AsyncConnectionPool(urls[0], min_size=least, max_size=most, kwargs={"autocommit": True}, open=False)
    await pool.open(wait=True)
    return Elastic(pool.connection, _ask, pool.close)


async def _sqlalchemy(urls: Sequence[str], least: int, most: int) -> Elastic:
    url = urlsplit(urls[0])
    driver = "aiomysql" if url.scheme == "mysql" else "asyncpg"
    options = {"pool_size": max(least, 1), "max_overflow": most - max(least, 1)}
    engine = create_async_engine(url._replace(scheme=f"{url.scheme}+{driver}").geturl(), **options)
    return Elastic(engine.connect, lambda conn, statement: conn.execute(text(statement)), engine.dispose)


async def _hasql(urls: Sequence[str], least: int, most: int) -> Elastic:
    share = -(-least // len(urls))
    sizes = {"min_size": share, "max_size": max(most, share)}
    manager: Any = _hasql_asyncpg.PoolManager(multi_host(urls), pool_factory_kwargs=sizes, acquire_timeout=60)
    await manager.ready(masters_count=len(urls), replicas_count=0, timeout=30)
    return Elastic(manager.acquire_master, _ask, manager.close)


async def _aiomysql_pool(urls: Sequence[str], least: int, most: int) -> Elastic:
    url = urlsplit(urls[0])
    login = {"host": url.hostname, "port": url.port, "user": url.username, "password": url.password, "db": url.path.lstrip("/")}
    pool: Any = await _aiomysql.create_pool(minsize=least, maxsize=most, **login)

    async def close() -> None:
        pool.close()
        await pool.wait_closed()

    return Elastic(pool.acquire, _ask, close)


async def _ask(conn: Any, statement: str) -> None:
    if isinstance(conn, _aiomysql.Connection):
        async with conn.cursor() as cursor:
            await cursor.execute(statement)
            await cursor.fetchall()
    else:
        await conn.execute(statement)
