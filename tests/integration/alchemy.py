"""What the tests of `aioclustersql.sqlalchemy` share: a model, the dialects, and an engine with its sessions on each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine as SyncEngine
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from aioclustersql import Cluster
from aioclustersql.sqlalchemy import create_async_engine
from tests.integration.support import Engine, Galera, Postgres

__all__ = ["DRIVERS", "Base", "Row", "Stand", "add", "drivers_url", "keys", "stand"]

DRIVERS = {"asyncpg": "postgres", "psycopg": "postgres", "aiomysql": "galera", "asyncmy": "galera"}
"""Each driver that SQLAlchemy has a dialect for, and the servers that it talks to."""


class Base(DeclarativeBase):
    pass


class Row(Base):
    """A key; one that is written twice is there twice."""

    __tablename__ = "alchemy_rows"

    id: Mapped[int] = mapped_column(primary_key=True)
    k: Mapped[str]


@dataclass
class Stand:
    """A cluster, an engine on it, and its sessions. `opened`: every connection that its pool has opened, the driver's own."""

    servers: Engine
    cluster: Cluster[Any]
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    opened: list[Any]


def drivers_url(driver: str, url: str) -> str:
    """The URL with the driver named in its scheme."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}+{driver}://{rest}"


@asynccontextmanager
async def stand(
    driver: str, servers: Any, ports: dict[str, int] | None = None, *, user: str | None = None, pool_size: int = 5, **options: Any
) -> AsyncIterator[Stand]:
    """A cluster over the servers, or over these ports, with an engine; `options` are the cluster's."""
    engine = Galera(servers) if DRIVERS[driver] == "galera" else Postgres(servers)
    ports = ports or {node.name: node.port for node in engine.nodes}
    nodes = {name: drivers_url(driver, engine.dsn(port, user=user)) for name, port in ports.items()}
    async with Cluster(nodes, driver=driver, **options) as cluster:
        alchemy = create_async_engine(cluster, pool_size=pool_size, max_overflow=0)
        opened: list[Any] = []
        note(alchemy.sync_engine, opened)
        try:
            yield Stand(engine, cluster, alchemy, async_sessionmaker(alchemy, expire_on_commit=False), opened)
        finally:
            await alchemy.dispose()


def note(engine: SyncEngine, opened: list[Any]) -> None:
    event.listen(engine, "connect", lambda _, record: opened.append(record.driver_connection))


async def add(session: AsyncSession, key: str) -> Row:
    """A unit of work."""
    row = Row(k=key)
    session.add(row)
    return row


def keys(stand: Stand, node: Any = None) -> list[str]:
    """The keys that a server has, in order. Blocks."""
    if isinstance(stand.servers, Galera):
        node = node or stand.servers.nodes[0]
        node.causal_read()
        return sorted(key for (key,) in node.sql("SELECT k FROM test.alchemy_rows"))
    node = node or next(each for each in stand.servers.nodes if not each.is_standby)
    return sorted(key for (key,) in node.sql("select k from alchemy_rows"))
