"""A server restarts while connections sit idle in the pool: whoever asks when it is back gets a good one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aioclustersql import Cluster
from chaos.leftovers import leftovers
from tests.integration.support import ENGINES, Engine, Galera, engine_of, until

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]

IDLE = 5


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers, of which the first is restarted."""
    return engine_of(request)


def restart(engine: Engine, node: Any) -> None:
    """It dies, and comes back. Blocks."""
    node.kill9()
    if isinstance(engine, Galera):
        node.restart()
    else:
        node.start()


async def filled(cluster: Cluster[Any], name: str) -> None:
    """Until the idle connections are there."""

    async def idle() -> bool:
        return cluster.stats().nodes[name].idle >= IDLE

    await until(idle, "the pool is not filled")


@pytest.mark.parametrize("monitor", [1.0, None], ids=["watched", "unwatched"])
async def test_after_a_restart_every_query_on_a_pooled_connection_succeeds(engine: Engine, monitor: float | None) -> None:
    node = engine.nodes[0]
    ports = {node.name: node.port}
    async with (
        leftovers(engine) as left,
        engine.cluster(ports, target="read-write", min_size=IDLE, monitor_interval=monitor) as cluster,
    ):

        async def query() -> None:
            async with cluster.acquire() as conn:
                assert await engine.value(conn, "SELECT 1") == 1

        await filled(cluster, node.name)
        await asyncio.to_thread(restart, engine, node)
        async with asyncio.TaskGroup() as group:
            for _ in range(4 * IDLE):
                group.create_task(query())
        await filled(cluster, node.name)
    assert left.complaints(logins_of=[node.name]) == []
