"""A table on real servers to which units of work append keys, read while it is written, and read by every node in the end.

Rule: no key is unique to the server. A unit that ran twice shows as a key that is there twice, not as an error.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Any

from aioclustersql import Cluster
from tests.integration.support import Engine, Galera

__all__ = ["Store", "store_of"]


class Store(ABC):
    """One table of keys, in the order of their coming."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    @abstractmethod
    def create(self) -> None:
        """Make the table anew, and wait until every node has it. Blocks."""

    @abstractmethod
    async def append(self, conn: Any, key: str) -> None:
        """Add a key, in whatever transaction is open."""

    @abstractmethod
    async def read(self, conn: Any) -> Any:
        """Look at the newest key."""

    @abstractmethod
    def keys(self, node: Any) -> Counter[str]:
        """What this node has, by a client of its own. Blocks."""

    @property
    @abstractmethod
    def connect_options(self) -> Mapping[str, Any]:
        """For the cluster: a lease that only reads leaves no transaction open."""

    def cluster(self, **options: Any) -> Cluster[Any]:
        """A cluster over the engine's nodes, for loads on this table; `Engine.cluster`'s options."""
        return self.engine.cluster(**{"connect_options": self.connect_options, **options})

    async def found(self, *nodes: Any) -> dict[str, Counter[str]]:
        """What each of these nodes has, or each of the engine's."""
        chosen = nodes or tuple(self.engine.nodes)
        found = await asyncio.gather(*(asyncio.to_thread(self.keys, node) for node in chosen))
        return {node.name: keys for node, keys in zip(chosen, found, strict=True)}


class _GaleraStore(Store):
    connect_options = {"autocommit": True}  # noqa: RUF012 - a constant

    def create(self) -> None:
        first, *_ = self.engine.nodes
        first.sql(f"DROP TABLE IF EXISTS test.{self.name}")
        first.sql(f"CREATE TABLE test.{self.name} (id BIGINT AUTO_INCREMENT PRIMARY KEY, k VARCHAR(40)) ENGINE=InnoDB")
        for node in self.engine.nodes:
            node.causal_read()

    async def append(self, conn: Any, key: str) -> None:
        async with conn.cursor() as cursor:
            await cursor.execute(f"INSERT INTO test.{self.name} (k) VALUES (%s)", (key,))

    async def read(self, conn: Any) -> Any:
        return await self.engine.value(conn, f"SELECT MAX(id) FROM test.{self.name}")

    def keys(self, node: Any) -> Counter[str]:
        node.causal_read()
        return Counter(key for (key,) in node.sql(f"SELECT k FROM test.{self.name}"))


class _PostgresStore(Store):
    connect_options: Mapping[str, Any] = {}

    def create(self) -> None:
        primary = next(node for node in self.engine.nodes if not node.is_standby)
        primary.sql(f"drop table if exists {self.name}")
        primary.sql(f"create table {self.name} (id bigserial primary key, k text)")

    async def append(self, conn: Any, key: str) -> None:
        await conn.execute(f"insert into {self.name} (k) values ($1)", key)

    async def read(self, conn: Any) -> Any:
        return await conn.fetchval(f"select max(id) from {self.name}")

    def keys(self, node: Any) -> Counter[str]:
        return Counter(key for (key,) in node.sql(f"select k from {self.name}"))


def store_of(engine: Engine, name: str) -> Store:
    """A table of that name on these servers; make it with `create`."""
    return (_GaleraStore if isinstance(engine, Galera) else _PostgresStore)(engine, name)
