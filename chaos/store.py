"""A table on real servers to which keys are appended: made anew for each scene, and read by every node in the end.

Rule: the keys of the rows (`id`) come from the server and collide on no node. Galera's AUTO_INCREMENT would not do: its steps
change with the number of members, and inserts that are under way then meet.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Any

from aioclustersql import Cluster
from chaos.engine import Engine, Galera
from chaos.statements import DRIVERS, STATEMENTS

__all__ = ["Store", "store_of"]


class Store(ABC):
    """One table of keys."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    @abstractmethod
    def create(self) -> None:
        """Make the table anew, owned by the application's user, and wait until every node has it. Blocks."""

    @abstractmethod
    def keys(self, node: Any) -> Counter[str]:
        """What this node has, by a client of its own. Blocks."""

    @property
    @abstractmethod
    def connect_options(self) -> Mapping[str, Any]:
        """For the cluster: a lease that only reads leaves no transaction open."""

    async def append(self, conn: Any, key: str) -> None:
        """Add a key, in whatever transaction is open."""
        await STATEMENTS[DRIVERS[self.engine.name]].append(conn, self.name, key)

    async def read(self, conn: Any) -> object:
        """Look at the newest row."""
        return await STATEMENTS[DRIVERS[self.engine.name]].read(conn, self.name)

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
        first.sql(f"CREATE TABLE test.{self.name} (id CHAR(36) PRIMARY KEY DEFAULT UUID(), k VARCHAR(40)) ENGINE=InnoDB")
        for node in self.engine.nodes:
            node.causal_read()

    def keys(self, node: Any) -> Counter[str]:
        node.causal_read()
        return Counter(key for (key,) in node.sql(f"SELECT k FROM test.{self.name}"))


_ROLE = "do $$ begin create role app login; exception when duplicate_object then null; end $$"


class _PostgresStore(Store):
    connect_options: Mapping[str, Any] = {}

    def create(self) -> None:
        made = f"drop table if exists {self.name}; create table {self.name} (id bigserial primary key, k text)"
        self.engine.servers.primary.sql(f"{_ROLE}; {made}; alter table {self.name} owner to app")
        self.engine.servers.wait_replayed()

    def keys(self, node: Any) -> Counter[str]:
        return Counter(key for (key,) in node.sql(f"select k from {self.name}"))


def store_of(engine: Engine, name: str) -> Store:
    """A table of that name on these servers; make it with `create`."""
    return (_GaleraStore if isinstance(engine, Galera) else _PostgresStore)(engine, name)
