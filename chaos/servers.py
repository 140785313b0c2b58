"""The stand's own servers: three Galera nodes, or a PostgreSQL primary with two standbys, on free ports of loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aioclustersql.demo.postgres import PostgresCluster
from chaos.engine import Engine, Galera, Postgres
from tests.servers.galera import GaleraCluster, PortInUse, ServerError

__all__ = ["NODES", "servers_for"]

NODES = 3
"""Of either cluster."""
_PORTS = range(3461, 3561, 10)


@contextmanager
def servers_for(engine: str, *, slow_evs: bool = False) -> Iterator[Engine]:
    """Started, and stopped and removed at the end, however it comes. `slow_evs`: Galera misses a dead node after six
    seconds only. Raises `ServerError` when they cannot start.
    """
    if engine == "postgres":
        with PostgresCluster() as servers:
            yield Postgres(servers)
        return
    galera = _started(slow_evs)
    try:
        yield Galera(galera)
    finally:
        galera.stop()


def _started(slow_evs: bool) -> GaleraCluster:
    for first in _PORTS:
        cluster = GaleraCluster(range(first, first + NODES), default_evs=slow_evs, max_connections=80)
        try:
            cluster.start()
        except PortInUse:
            continue
        return cluster
    raise ServerError(f"no free ports between {_PORTS.start} and {_PORTS.stop}")
