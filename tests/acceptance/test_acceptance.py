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
from aioclustersql.cli.check.acceptance import STEPS, Step
from aioclustersql.cli.check.replication import missing_rows
from aioclustersql.cli.check.session import Session, all_are_full, session
from aioclustersql.config import Settings
from tests.acceptance.conftest import session_on

pytestmark = pytest.mark.integration

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


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
async def test_statements(step: Step, db: Session, table: str) -> None:
    await step(db, table)


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
    async with AsyncExitStack() as stack:
        sessions = {node.name: await stack.enter_async_context(session_on(node, settings)) for node in settings.nodes}
        writers = [name for name, each in sessions.items() if await each.takes_writes()]
        assert writers, f"none of the nodes {', '.join(sessions)} takes writes"
        missing = await missing_rows(sessions, writers, table, float(os.environ.get("ACCEPTANCE_SECONDS", "10")))
    if missing:
        pytest.fail("the nodes do not replicate:\n" + "\n".join(map(str, missing)), pytrace=False)
