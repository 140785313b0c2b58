"""What is measured against: a few real servers that listen on many loopback addresses, so that 30 nodes need no 30 servers.

Everything here blocks. Needs Linux, where all of 127.0.0.0/8 is loopback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

import pymysql

from aioclustersql.demo.postgres import PostgresCluster
from tests.servers.galera import GaleraCluster, PortInUse, ServerError
from tests.servers.galera_install import PASSWORDS

__all__ = ["DRIVERS", "ServerError", "Stand", "open_stand"]

DRIVERS = ("aiomysql", "asyncpg")
_MOST_CONNECTIONS = 500
_pymysql: Any = pymysql


class Stand(Protocol):
    """Servers for one driver."""

    driver: str
    rest: float
    """Seconds that the servers need after each of many logins: still closing sessions, they would slow down what comes next."""

    def url(self, node: int) -> str:
        """The URL of the node with that number, from 0."""
        ...

    def behind(self, nodes: int) -> str:
        """What really stands behind so many nodes."""
        ...

    def logins(self) -> int:
        """The logins that the servers have counted so far; counting adds none."""
        ...


class MariadbStand:
    """Three nodes of one Galera cluster, with several addresses each; node 0, 3, 6 … are addresses of the first."""

    driver = "aiomysql"
    rest = 0.0005
    _user = "app"

    def __init__(self, ports: list[int], counters: list[Any], version: str) -> None:
        self._ports = ports
        self._counters = counters
        self._version = version

    @classmethod
    @contextmanager
    def open(cls, nodes: int) -> Iterator[MariadbStand]:
        """Servers for up to so many nodes; stopped and removed at the end, however it comes."""
        servers = min(nodes, 3)
        hosts = [f"127.0.0.{number}" for number in range(1, 2 + (nodes - 1) // servers)]
        with ExitStack() as stack:
            cluster = stack.enter_context(_free_galera(servers, hosts))
            ports = [node.port for node in cluster.nodes]
            counters = [stack.enter_context(_pymysql.connect(host=hosts[0], port=port, user="root")) for port in ports]
            yield cls(ports, counters, str(counters[0].get_server_info()))

    def _address(self, node: int) -> tuple[str, int]:
        return f"127.0.0.{1 + node // len(self._ports)}", self._ports[node % len(self._ports)]

    def url(self, node: int) -> str:
        host, port = self._address(node)
        return f"mysql://{self._user}:{PASSWORDS[self._user]}@{host}:{port}/test"

    def behind(self, nodes: int) -> str:
        servers = min(nodes, len(self._ports))
        return f"{nodes} loopback addresses of {servers} Galera node{'s'[: servers - 1]} ({self._version})"

    def logins(self) -> int:
        return sum(_connections(counter) for counter in self._counters)


class PostgresStand:
    """One PostgreSQL primary with as many addresses as there are nodes: standbys would take no read-write connect.

    With `standbys` it is a primary and so many standbys, a node each.
    """

    driver = "asyncpg"
    rest = 0.003

    def __init__(self, cluster: PostgresCluster, version: str) -> None:
        self._node = cluster.primary
        self._ports = [node.port for node in cluster.nodes]
        self._version = version
        self._log_position = 0
        self._logins = 0

    @classmethod
    @contextmanager
    def open(cls, nodes: int, standbys: int) -> Iterator[PostgresStand]:
        """A server, or several, for up to so many nodes; stopped and removed at the end, however it comes."""
        addresses = ",".join(f"127.0.0.{number}" for number in range(1, nodes + 1))
        settings = {"listen_addresses": addresses, "log_connections": "on", "max_connections": _MOST_CONNECTIONS}
        with PostgresCluster(standbys, settings=settings) as cluster:
            yield cls(cluster, cluster.primary.value("show server_version"))

    def url(self, node: int) -> str:
        host, port = (1 + node, self._node.port) if len(self._ports) == 1 else (1, self._ports[node])
        return f"postgresql://postgres@127.0.0.{host}:{port}/postgres"

    def behind(self, nodes: int) -> str:
        standbys = len(self._ports) - 1
        servers = (
            f"a PostgreSQL primary and {standbys} standbys" if standbys else f"{nodes} loopback addresses of 1 PostgreSQL primary"
        )
        return f"{servers} ({self._version}, trust)"

    def logins(self) -> int:
        with self._node.log.open("rb") as log:  # a line is written before the client hears that it is let in
            log.seek(self._log_position)
            text = log.read()
        self._log_position += len(text)
        self._logins += text.count(b"connection authorized: ")
        return self._logins


def open_stand(driver: str, nodes: int, *, standbys: int = 0) -> AbstractContextManager[Stand]:
    """Servers for one of `DRIVERS`.

    `standbys`: of PostgreSQL, so many servers besides the primary, and no more nodes than servers.
    """
    if driver == MariadbStand.driver:
        return MariadbStand.open(nodes)
    return PostgresStand.open(nodes, standbys)


def _connections(counter: Any) -> int:
    with counter.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
        return int(cursor.fetchone()[1])


@contextmanager
def _free_galera(servers: int, hosts: list[str]) -> Iterator[GaleraCluster]:
    """A Galera cluster on the first free ports, its clients' port open on all the hosts."""
    for first in range(3361, 3461, 10):
        cluster = _Galera(range(first, first + servers), hosts)
        try:
            cluster.start()
        except PortInUse:
            continue
        try:
            yield cluster
        finally:
            cluster.stop()
        return
    raise ServerError("no free ports between 3361 and 3461")


class _Galera(GaleraCluster):
    def __init__(self, ports: range, hosts: list[str]) -> None:
        super().__init__(ports, max_connections=_MOST_CONNECTIONS)
        for node in self.nodes:
            node._options = [*node._options, f"--bind-address={','.join(hosts)}"]  # the last one given holds
