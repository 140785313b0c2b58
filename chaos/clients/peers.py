"""The peers that ours is compared with, by engine. Their modules are imported when a client is made: a library may be missing.

Rule: a name here is the client's `name`; what has time-outs of its own set is called tuned.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from functools import partial

from chaos.client import Client

__all__ = ["LOGS_IN", "TUNED_SUFFIX", "peers"]

_PEERS: Mapping[str, Mapping[str, str]] = {
    "galera": {
        "aiomysql pool, host list": "aiomysql_peer:HostList",
        "aiomysql pool, host list, tuned": "aiomysql_peer:TunedHostList",
        "mysql-connector, failover": "mysql_connector_peer:Failover",
        "mysql-connector pools, failover": "mysql_connector_peer:Pools",
        "mysql-connector pools, failover, tuned": "mysql_connector_peer:TunedPools",
    },
    "postgres": {
        "hasql asyncpg": "hasql:Asyncpg",
        "hasql asyncpg, tuned": "hasql:TunedAsyncpg",
        "hasql psycopg": "hasql:Psycopg",
        "asyncpg pool, multi-host": "asyncpg_peer:Pool",
        "asyncpg pool, multi-host, tuned": "asyncpg_peer:TunedPool",
        "asyncpg connect, multi-host": "asyncpg_peer:Fresh",
        "psycopg_pool, multi-host": "psycopg_peer:Pool",
        "psycopg_pool, multi-host, tuned": "psycopg_peer:TunedPool",
        "SQLAlchemy, multi-host, pre-ping": "sqlalchemy_peer:PrePing",
        "SQLAlchemy, multi-host, pre-ping, tuned": "sqlalchemy_peer:TunedPrePing",
    },
}

LOGS_IN = frozenset({"asyncpg connect, multi-host", "mysql-connector, failover"})
"""The peers that have no pool: each unit is a login."""

TUNED_SUFFIX = ", tuned"
"""Ends the name of one that has time-outs of its own set."""


def peers(engine: str) -> Mapping[str, Callable[[], Client]]:
    """By name, what makes each peer's client for this engine ("galera" or "postgres")."""
    return {name: partial(_make, name, where) for name, where in _PEERS[engine].items()}


def _make(name: str, where: str) -> Client:
    try:
        factory: Callable[[], Client] = pkgutil.resolve_name(f"chaos.clients.{where}")
    except ImportError as error:
        raise RuntimeError(f"{name} needs a package that is not installed: pip install --group bench ({error})") from error
    return factory()
