"""The cluster under test: the one that $DBCONFIG names, else the servers of this suite, which are started."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, Cluster, ConnectTimeout, Node
from aioclustersql.cli.check.session import Session, session
from aioclustersql.config import Settings, load
from tests.servers.fixtures_galera import _turn
from tests.servers.galera import GaleraCluster

_OWN = Path(__file__).parents[2] / "config.toml"


@pytest.fixture(scope="package")
def own_servers() -> Iterator[None]:
    """Servers to test; with $DBCONFIG none is started.

    For this folder alone: the session's fixture is another folder's, and two of them would want the same ports. Where its
    servers are up already they serve here, too.
    """
    own = None if os.environ.get("DBCONFIG") else GaleraCluster()
    if own is None or own.folder.exists():
        yield
        return
    with _turn("galera"), own:
        yield


@pytest.fixture
def settings(own_servers: None) -> Settings:
    """What the config.toml says."""
    return load(None if os.environ.get("DBCONFIG") else _OWN)


@pytest.fixture
async def cluster(settings: Settings) -> AsyncIterator[Cluster[Any]]:
    """The cluster as a user opens it; only nodes that take writes are asked for."""
    async with Cluster.from_config(settings.source, target="read-write") as cluster:
        yield cluster


@pytest.fixture
async def db(cluster: Cluster[Any]) -> AsyncIterator[Session]:
    """A connection out of the cluster."""
    async with cluster.connect() as conn:
        found = session(conn)
        await found.keep_quiet()
        yield found


@pytest.fixture
async def table(settings: Settings) -> AsyncIterator[str]:
    """A name that nobody else uses; the table is gone after the test, however that ends."""
    name = f"aioclustersql_acceptance_{secrets.token_hex(6)}"
    yield name
    for node in settings.nodes:  # one may not replicate to the others
        with suppress(AllNodesFailed, ConnectTimeout):
            async with session_on(node, settings) as each:
                if await each.takes_writes():
                    await each.execute(f"DROP TABLE IF EXISTS {name}")


@asynccontextmanager
async def session_on(node: Node, settings: Settings) -> AsyncIterator[Session]:
    """A connection to this node, by a cluster of it alone: nothing else can answer in its place."""
    alone: Cluster[Any] = Cluster((node,), **{**settings.options, "target": "any"})
    async with alone, alone.connect() as conn:
        db = session(conn)
        await db.keep_quiet()
        yield db
