"""One node near and two far away: the near one serves, whatever the time-out."""

from __future__ import annotations

import pytest

from tests.integration.support import ENGINES, Engine, between, connect_one_by_one, engine_of, shares, warm_up
from tests.servers.fixtures_galera import MakeProxy

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers."""
    return engine_of(request)


async def ports(engine: Engine, proxy: MakeProxy, delay: float) -> dict[str, int]:
    near, *others = engine.nodes
    far = [await between(engine, proxy, node, delay=delay) for node in others]
    return {"near": near.port, "far1": far[0].port, "far2": far[1].port}


async def test_two_nodes_far_away_get_few(engine: Engine, proxy: MakeProxy) -> None:
    async with engine.unwatched(await ports(engine, proxy, 0.010)) as cluster:
        await warm_up(cluster, 90)
        nodes, _ = await connect_one_by_one(cluster, 300)
        spread = shares(nodes)
        assert spread["near"] > 76, spread
    await engine.wait_left()


async def test_a_far_node_makes_no_connect_time_out(engine: Engine, proxy: MakeProxy) -> None:
    async with engine.unwatched(await ports(engine, proxy, 0.1)) as cluster:
        nodes, _ = await connect_one_by_one(cluster, 150, timeout=0.5)
        assert shares(nodes)["near"] > 76
    await engine.wait_left()
