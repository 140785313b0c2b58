"""What the tests of `connect` on real servers share: both engines behind one face, and what the servers themselves count.

Not the servers (tests/servers), not the promises (test_connect_*.py). Rule: whatever a server counts is asked for by ways that it
counts elsewhere, or is subtracted.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aioclustersql import Cluster
from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.events import Event
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster
from tests.servers.proxy import Proxy

ENGINES = ("galera", "postgres")


class Engine(ABC):
    """A cluster of three real nodes of one kind; `any_node` is the target that all of them serve."""

    any_node: str
    source = "127.0.0.1"
    """Where proxies connect from."""

    def __init__(self, nodes: Sequence[Any]) -> None:
        self.nodes = nodes

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

    any_node = "read-write"
    source = "127.0.0.2"  # a MariaDB server never blocks 127.0.0.1
    _CLIENTS = "SELECT COUNT(*) FROM information_schema.processlist WHERE user <> 'system user' AND id <> CONNECTION_ID()"

    def __init__(self, servers: GaleraCluster) -> None:
        super().__init__(servers.nodes)
        self._asked: Counter[str] = Counter()

    def dsn(self, port: int, *, host: str = "127.0.0.1", user: str | None = None, database: str | None = None) -> str:
        return f"mysql://{user or 'root'}@{host}:{port}/{database or 'test'}"

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

    any_node = "any"
    _CLIENTS = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    _LOGINS = "select sessions from pg_stat_database where datname = 'postgres'"

    def __init__(self, servers: PostgresCluster) -> None:
        super().__init__(servers.nodes)

    def dsn(self, port: int, *, host: str = "127.0.0.1", user: str | None = None, database: str | None = None) -> str:
        return f"postgresql://{user or 'postgres'}@{host}:{port}/{database or 'postgres'}"

    async def logins(self, node: Any) -> int:
        return int((await asyncio.to_thread(node.sql, self._LOGINS, database="template1"))[0][0])

    async def sessions(self, node: Any) -> int:
        return int((await asyncio.to_thread(node.sql, self._CLIENTS, database="template1"))[0][0])

    async def close(self, conn: Any) -> None:
        await conn.close()

    async def value(self, conn: Any, sql: str) -> Any:
        return await conn.fetchval(sql)


def engine_of(request: pytest.FixtureRequest) -> Engine:
    """For a fixture with the parameters `ENGINES`: the engine of that name, its servers started."""
    servers = request.getfixturevalue(request.param)
    return Galera(servers) if request.param == "galera" else Postgres(servers)


async def until(condition: Callable[[], Awaitable[bool]], complaint: str, timeout: float = 10.0) -> None:
    """Wait for something that comes by itself, and soon."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not await condition():
        if loop.time() > deadline:
            pytest.fail(f"after {timeout:g} s {complaint}")
        await asyncio.sleep(0.02)


async def between(engine: Engine, make: MakeProxy, node: Any, **options: Any) -> Proxy:
    """A proxy before a node."""
    return await make(node, source=engine.source, **options)


async def warm_up(cluster: Cluster[Any], count: int = 60) -> None:
    """Connect so often that every node has been measured and, where they are equal, is known well."""
    await connect_one_by_one(cluster, count)
    await settled(cluster)
    unmeasured = [name for name, node in cluster.stats().nodes.items() if node.latency is None]
    assert not unmeasured


async def connect_one_by_one(cluster: Cluster[Any], count: int, **options: Any) -> tuple[Counter[str], float]:
    """Open and close so many connections; how many were on each node, and how many seconds the slowest connect took."""
    loop = asyncio.get_running_loop()
    nodes: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(count):
        began = loop.time()
        async with cluster.connect(**options) as conn:
            slowest = max(slowest, loop.time() - began)
            nodes[cluster.node_of(conn)] += 1
    return nodes, slowest


async def settled(cluster: Cluster[Any]) -> None:
    """Wait until no login of the cluster is under way."""

    async def quiet() -> bool:
        return all(node.connecting == 0 for node in cluster.stats().nodes.values())

    await until(quiet, "logins are under way")


def watch(cluster: Cluster[Any], *kinds: type[Event]) -> list[Any]:
    """The events of these classes from now on."""
    seen: list[Any] = []

    def listen(event: Event) -> None:
        if isinstance(event, kinds):
            seen.append(event)

    cluster.subscribe(listen)
    return seen


def shares(nodes: Counter[str]) -> dict[str, float]:
    """Each node's part of the whole, in percent."""
    return {name: 100 * count / nodes.total() for name, count in sorted(nodes.items())}


@asynccontextmanager
async def descriptors(interval: float = 0.02) -> AsyncIterator[list[int]]:
    """Samples of how many descriptors this process has open, taken all the while."""
    samples = [_descriptors()]

    async def sample() -> None:
        while True:
            samples.append(_descriptors())
            await asyncio.sleep(interval)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
        await asyncio.wait([task])


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a sample should cost little


async def close_all(engine: Engine, conns: Iterable[Any]) -> None:
    """Close them side by side."""
    await asyncio.gather(*(engine.close(conn) for conn in conns))
