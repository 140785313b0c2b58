"""All nodes restarted in turn under load, each drained before and resumed afterwards: nobody notices.

PostgreSQL's primary too: while it is away there is no other to write to, so its writers wait for the second that it takes.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aioclustersql import Cluster
from aioclustersql.events import Interrupted
from chaos.check import misplaced
from chaos.clients.ours import Acquire, Run
from chaos.leftovers import leftovers
from chaos.load import load
from chaos.store import store_of
from tests.integration.support import ENGINES, Engine, Galera, engine_of, until, watch

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers."""
    return engine_of(request)


def restart(engine: Engine, node: Any) -> None:
    """In order, as for an upgrade. Blocks."""
    if isinstance(engine, Galera):
        node.terminate()
        node.restart()
    else:
        node.stop()
        node.start()


async def in_use(cluster: Cluster[Any], name: str) -> None:
    """Until the node has a connection of the pool."""

    async def used() -> bool:
        node = cluster.stats().nodes[name]
        return node.health == "up" and node.idle + node.leased > 0

    await until(used, f"{name} is not used again")


async def test_a_rolling_restart_costs_no_unit_and_no_lease(engine: Engine) -> None:
    store = store_of(engine, "rolling")
    await asyncio.to_thread(store.create)
    standbys_first = sorted(engine.nodes, key=lambda node: node.name, reverse=True)
    async with leftovers(engine) as left, store.cluster(target="read-write", max_total=20) as cluster:
        interrupted = watch(cluster, Interrupted)
        async with (
            load(Run(engine.name).use(cluster, store.name), writers=8, readers=8) as running,
            load(Acquire(engine.name).use(cluster, store.name), readers=8) as leases,
        ):
            for node in standbys_first:
                await in_use(cluster, node.name)
                assert await cluster.drain_node(node.name, timeout=5) == 0
                await asyncio.to_thread(restart, engine, node)
                cluster.resume_node(node.name)
            await in_use(cluster, standbys_first[-1].name)
    assert [unit for unit in (*running.units, *leases.units) if unit.outcome != "ok"] == []
    assert interrupted == []
    if isinstance(engine, Galera):
        assert misplaced(running.units, await store.found()) == []
    assert left.complaints(logins_of=cluster.nodes) == []
