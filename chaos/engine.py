"""Both kinds of cluster behind one face, what the servers themselves count, and how to wait for what comes by itself.

Not the servers (tests/servers, the demo's). Rule: whatever a server counts is asked for by ways that it counts elsewhere, or is
subtracted.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aioclustersql import Cluster
from aioclustersql.demo.postgres import PostgresCluster
from tests.servers.galera import GaleraCluster
from tests.servers.galera_install import PASSWORDS

__all__ = ["ENGINES", "Engine", "Galera", "Postgres", "until"]

ENGINES = ("galera", "postgres")


class Engine(ABC):
    """A cluster of three real nodes of one kind; `any_node` is the target that all of them serve."""

    name: str
    any_node: str
    source = "127.0.0.1"
    """Where proxies connect from."""

    def __init__(self, servers: Any) -> None:
        self.servers = servers
        self.nodes: Sequence[Any] = servers.nodes

    @abstractmethod
    def dsn(self, port: int, *, host: str = "127.0.0.1", user: str | None = None, database: str | None = None) -> str:
        """The URL of a server, or of a proxy before one, on that port."""

    @abstractmethod
    async def logins(self, node: Any) -> int:
        """Logins that this server has counted, without our own questions. For PostgreSQL once its sessions are over."""

    @abstractmethod
    async def sessions(self, node: Any) -> int:
        """Client sessions open on this server."""

    @abstractmethod
    async def close(self, conn: Any) -> None:
        """Close a connection as users of the driver do."""

    @abstractmethod
    async def value(self, conn: Any, sql: str) -> Any:
        """The first column of the first row."""

    @abstractmethod
    def user_url(self, port: int, host: str = "127.0.0.1") -> str:
        """The same for an application's user, who has no administrator's rights."""

    def urls(self, ports: Mapping[str, int] | None = None) -> dict[str, str]:
        """Each node's name and URL; with `ports`, of these."""
        chosen = ports if ports is not None else {node.name: node.port for node in self.nodes}
        return {name: self.dsn(port) for name, port in chosen.items()}

    def cluster(self, ports: Mapping[str, int] | None = None, **options: Any) -> Cluster[Any]:
        """A cluster over the nodes, or over these ports, whatever their role."""
        return Cluster(self.urls(ports), **{"target": self.any_node, **options})

    def unwatched(self, ports: Mapping[str, int] | None = None, **options: Any) -> Cluster[Any]:
        """The same without a monitor: then the servers see what its connects do, and nothing else."""
        return self.cluster(ports, **{"monitor_interval": None, **options})

    async def total_logins(self) -> int:
        """Logins that all servers have counted, once nobody is connected any more."""
        await self.wait_left()
        return sum(await asyncio.gather(*(self.logins(node) for node in self.nodes)))

    async def total_sessions(self) -> int:
        """Client sessions on all servers."""
        return sum(await asyncio.gather(*(self.sessions(node) for node in self.nodes)))

    async def wait_left(self) -> None:
        """Until no client is left on any server; the end of a session reaches the server some time after ours."""
        await until(self._nobody_is_left, "sessions are left on the servers")

    async def _nobody_is_left(self) -> bool:
        return await self.total_sessions() == 0


class Galera(Engine):
    """Three MariaDB nodes; all of them take writes."""

    name = "galera"
    any_node = "read-write"
    source = "127.0.0.2"  # a MariaDB server never blocks 127.0.0.1
    _CLIENTS = "SELECT COUNT(*) FROM information_schema.processlist WHERE user <> 'system user' AND id <> CONNECTION_ID()"

    def __init__(self, servers: GaleraCluster) -> None:
        super().__init__(servers)
        self._asked: Counter[str] = Counter()

    def dsn(self, port: int, *, host: str = "127.0.0.1", user: str | None = None, database: str | None = None) -> str:
        return f"mysql://{user or 'root'}@{host}:{port}/{database or 'test'}"

    def user_url(self, port: int, host: str = "127.0.0.1") -> str:
        return f"mysql://plain:{PASSWORDS['plain']}@{host}:{port}/test"

    async def logins(self, node: Any) -> int:
        rows = await self._ask(node, "SHOW GLOBAL STATUS LIKE 'Connections'")
        return int(rows[0][1]) - self._asked[node.name]

    async def sessions(self, node: Any) -> int:
        rows = await self._ask(node, self._CLIENTS)
        return int(rows[0][0])

    async def close(self, conn: Any) -> None:
        await conn.ensure_closed()

    async def value(self, conn: Any, sql: str) -> Any:
        async with conn.cursor() as cursor:
            await cursor.execute(sql)
            return (await cursor.fetchone())[0]

    async def complaints(self, host: str) -> dict[str, int]:
        """What the servers hold against their clients: interrupted logins, those of one host, and lost sessions."""
        found: Counter[str] = Counter()
        for node in self.nodes:
            rows = await self._ask(node, "SHOW GLOBAL STATUS WHERE variable_name IN ('Aborted_connects', 'Aborted_clients')")
            found.update({name: int(value) for name, value in rows})
            rows = await self._ask(
                node, f"SELECT COALESCE(SUM(sum_connect_errors), 0) FROM performance_schema.host_cache WHERE ip = '{host}'"
            )
            found["SUM_CONNECT_ERRORS"] += int(rows[0][0])
        return dict(found)

    async def _ask(self, node: Any, sql: str) -> Any:
        self._asked[node.name] += 1
        return await asyncio.to_thread(node.sql, sql)


class Postgres(Engine):
    """A primary and two standbys. Clients use the database `postgres`, questions go to another."""

    name = "postgres"
    any_node = "any"
    _CLIENTS = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    _LOGINS = "select sessions from pg_stat_database where datname = 'postgres'"

    def __init__(self, servers: PostgresCluster) -> None:
        super().__init__(servers)

    def dsn(self, port: int, *, host: str = "127.0.0.1", user: str | None = None, database: str | None = None) -> str:
        return f"postgresql://{user or 'postgres'}@{host}:{port}/{database or 'postgres'}"

    def user_url(self, port: int, host: str = "127.0.0.1") -> str:
        return f"postgresql://app@{host}:{port}/postgres"

    async def logins(self, node: Any) -> int:
        return int((await asyncio.to_thread(node.sql, self._LOGINS, database="template1"))[0][0])

    async def sessions(self, node: Any) -> int:
        return int((await asyncio.to_thread(node.sql, self._CLIENTS, database="template1"))[0][0])

    async def close(self, conn: Any) -> None:
        await conn.close()

    async def value(self, conn: Any, sql: str) -> Any:
        return await conn.fetchval(sql)


async def until(condition: Callable[[], Awaitable[bool]], complaint: str, timeout: float = 10.0) -> None:
    """Wait for something that comes by itself, and soon. Raises `AssertionError` with the complaint after `timeout` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not await condition():
        if loop.time() > deadline:
            raise AssertionError(f"after {timeout:g} s {complaint}")
        await asyncio.sleep(0.02)
