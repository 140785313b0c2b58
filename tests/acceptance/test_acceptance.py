"""Is this a cluster, and does the library work with it? Run it on your own nodes before they go into production:

    DBCONFIG=my.toml pytest tests/acceptance

in a checkout of the repository, with its test dependencies (`pip install -e '.[all]' --group test`). `my.toml` is a file for
`Cluster.from_config`: nodes of one kind, MariaDB Galera, MySQL or MariaDB with replicas, or PostgreSQL. Without $DBCONFIG a
Galera cluster of three nodes is started on this machine, and config.toml names its nodes.

Needed are a database and the right to create tables in it. Tables are named aioclustersql_acceptance_… and dropped at the end,
also after a failure. `test_concurrent_connections` takes nearly all connections that a server allows, for a moment: not while
others need them. Two variables change its ways: $ACCEPTANCE_CONNECTIONS is the most to open, and $ACCEPTANCE_SECONDS how long
a replica may lag behind (10 s; on Galera a causal read tells at once).

That everything passes does not prove that a cluster is set up rightly; but three servers that do not replicate fail.
"""

from __future__ import annotations

import asyncio
import os
import resource
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, Cluster
from aioclustersql.config import Settings
from tests.acceptance.replication import missing_rows, session_on
from tests.acceptance.session import Session, all_are_full, session

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:Unknown table"),  # what DROP TABLE IF EXISTS says on MySQL
    pytest.mark.filterwarnings("ignore:Table .* already exists"),
]

RESERVED = 10
"""Connections left to others in the concurrent test: the server's own, replication, monitoring."""


async def test_open(cluster: Cluster[Any]) -> None:
    async with cluster.connect() as conn:
        assert cluster.node_of(conn) in cluster.nodes
        assert await session(conn).rows("SELECT 1") == [(1,)]


async def test_every_node_lets_us_in(settings: Settings) -> None:
    for node in settings.nodes:
        async with session_on(node, settings) as db:
            assert await db.rows("SELECT 1") == [(1,)]


async def test_drop(db: Session, table: str) -> None:
    await db.execute(f"DROP TABLE IF EXISTS {table}")


async def test_create(db: Session, flags: str) -> None:
    await db.execute(f"DROP TABLE {flags}")
    await db.execute(f"CREATE TABLE {flags} (id INT PRIMARY KEY, value BOOL)")


async def test_empty_select(db: Session, flags: str) -> None:
    assert await db.rows(f"SELECT * FROM {flags}") == []


async def test_insert(db: Session, flags: str) -> None:
    assert await db.execute(f"INSERT INTO {flags} VALUES (?, ?)", 1, True) == 1


async def test_select(db: Session, flags: str) -> None:
    await db.execute(f"INSERT INTO {flags} VALUES (?, ?)", 1, True)
    assert await db.rows(f"SELECT value FROM {flags}") == [(True,)]


async def test_update(db: Session, flags: str) -> None:
    await db.execute(f"INSERT INTO {flags} VALUES (?, ?)", 1, True)
    assert await db.execute(f"UPDATE {flags} SET value = ? WHERE value = ?", False, True) == 1
    assert await db.rows(f"SELECT value FROM {flags}") == [(False,)]


async def test_delete(db: Session, flags: str) -> None:
    await db.execute(f"INSERT INTO {flags} VALUES (?, ?)", 1, False)
    assert await db.execute(f"DELETE FROM {flags} WHERE value = ?", False) == 1
    assert await db.execute(f"DELETE FROM {flags}") == 0


async def test_concurrent_connections(settings: Settings, cluster: Cluster[Any]) -> None:
    """As many connections at once as one server allows: all are served, and a full node is masked by the others."""
    allowed = await _most_connections(settings)
    wanted = min(allowed - RESERVED, _descriptors(), int(os.environ.get("ACCEPTANCE_CONNECTIONS", allowed)))
    assert wanted > 0, f"the servers allow {allowed} connections, and this test leaves {RESERVED} to others"
    remaining = wanted
    all_open = asyncio.Event()

    async def hold() -> str | None:
        nonlocal remaining
        async with AsyncExitStack() as stack:
            try:
                conn = await stack.enter_async_context(cluster.connect())
            except AllNodesFailed as error:
                if not all_are_full(list(error.errors.values())):
                    raise
                return None
            finally:
                remaining -= 1
                if remaining == 0:
                    all_open.set()
            held = session(conn)
            assert await held.rows("SELECT 1") == [(1,)]
            await all_open.wait()
            node = cluster.node_of(conn)
            assert await held.rows("SELECT 1") == [(1,)], f"a connection to {node} stopped answering"
            return node

    async with asyncio.TaskGroup() as group:
        holders = [group.create_task(hold()) for _ in range(wanted)]
    reached = Counter(node for holder in holders if (node := holder.result()) is not None)
    full = wanted - reached.total()
    print(f"{reached.total()} connections at once:", *(f"{node} {count}" for node, count in sorted(reached.items())))
    assert reached, f"all nodes were full: not one of {wanted} connections could be opened"
    assert full <= wanted / 2, f"{full} of {wanted} connections were refused: all nodes were full"


async def _most_connections(settings: Settings) -> int:
    """What the most generous of the nodes that take writes allows."""
    found = []
    for node in settings.nodes:
        async with session_on(node, settings) as db:
            if await db.takes_writes():
                found.append(await db.max_connections())
    return max(found)


def _descriptors() -> int:
    """How many sockets this process may still open, with a margin."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100


async def test_a_row_written_through_any_node_is_read_on_every_other(settings: Settings, table: str) -> None:
    missing = await missing_rows(settings, table, float(os.environ.get("ACCEPTANCE_SECONDS", "10")))
    if missing:
        pytest.fail("the nodes do not replicate:\n" + "\n".join(map(str, missing)), pytrace=False)
