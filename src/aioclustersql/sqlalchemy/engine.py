"""Makes an engine of SQLAlchemy whose pool is filled by a cluster. Rule: the dialect's own arguments reach the driver (with
`async_creator` they would not: aiomysql would lose `client_flag=FOUND_ROWS`, psycopg its `context`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext import asyncio as sa_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from ..errors import ConfigError
from ..view import ClusterView
from .seats import Seats

__all__ = ["create_async_engine"]

_DIALECTS = {
    "aiomysql": "mysql+aiomysql",
    "asyncmy": "mysql+asyncmy",
    "asyncpg": "postgresql+asyncpg",
    "psycopg": "postgresql+psycopg",
}
_WITH_AUTOCOMMIT = frozenset({"aiomysql", "asyncmy", "psycopg"})
"""With the drivers' autocommit mode on, a `rollback` of SQLAlchemy would roll back nothing."""
_REFUSED = {
    "url": "the nodes are the cluster's",
    "creator": "the cluster logs in",
    "async_creator": "the cluster logs in",
    "pool_pre_ping": "what the cluster knows of the nodes is looked at instead, without a round trip; a ping that failed would "
    "replace the connections of all nodes",
}


def create_async_engine(cluster: ClusterView[Any], *, target: str | None = None, **engine_options: Any) -> AsyncEngine:
    """An engine of SQLAlchemy whose pool gets its connections from the cluster, and keeps only those that still serve.

    A pooled connection is replaced when it is taken and its node has failed, was demoted, drained or removed since; those of
    the other nodes stay. So do they when a statement fails with a node's fault. No round trip is made for that. A login waits
    for a node that serves, as `acquire` does, up to the cluster's `connect_timeout`.

    cluster: a cluster, or a view of one (`with_options`). It works unopened, too, but only an open one watches its nodes.
    target: which node is wanted, in libpq's words; None is the cluster's. An engine for "prefer-standby" reads from standbys.
    engine_options: for SQLAlchemy's `create_async_engine`; the sizes of the pool are SQLAlchemy's, and over all nodes.

    Raises `ConfigError` for a driver without a dialect, and for the options `url`, `creator`, `async_creator`, `pool_pre_ping`.
    """
    for name in _REFUSED.keys() & engine_options.keys():
        raise ConfigError(f"{name} is not for an engine on a cluster: {_REFUSED[name]}")
    view = cluster if target is None else cluster.with_options(target=target)
    driver = view._engine.registry.driver.name
    if driver not in _DIALECTS:
        raise ConfigError(f"SQLAlchemy has no asyncio dialect for the driver {driver!r}; it has for {', '.join(_DIALECTS)}")
    fixed = {"autocommit": False} if driver in _WITH_AUTOCOMMIT else {}

    async def log_in(*_: object, **options: Any) -> Any:  # psycopg's dialect begins with an empty address
        return await view.connect(wait=True, **{**options, **fixed})

    connect_args = {**engine_options.pop("connect_args", {}), "async_creator_fn": log_in}
    engine = sa_asyncio.create_async_engine(URL.create(_DIALECTS[driver]), connect_args=connect_args, **engine_options)
    Seats(view).keep(engine.sync_engine)
    return engine
