"""Connecting to healthy clusters costs the servers one login each, however many connect, and spreads them evenly."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from aioclustersql.events import HealthChanged
from tests.integration.support import (
    ENGINES,
    Engine,
    between,
    close_all,
    connect_one_by_one,
    engine_of,
    settled,
    shares,
    warm_up,
    watch,
)
from tests.servers.fixtures_galera import MakeProxy

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]

WARM = 90
"""Connects after which every node is known well: 20 logins are what a percentile takes."""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers."""
    return engine_of(request)


async def test_warm_connects_cost_one_login_each(engine: Engine) -> None:
    async with engine.unwatched() as cluster:
        await warm_up(cluster, WARM)
        before = await engine.total_logins()
        health = watch(cluster, HealthChanged)
        await connect_one_by_one(cluster, 1000)
        await settled(cluster)
        assert 1000 <= await engine.total_logins() - before <= 1050
        assert health == []
    await engine.wait_left()


async def test_a_plain_race_costs_one_login_per_node(engine: Engine) -> None:
    async with engine.unwatched(stagger=0) as cluster:
        before = await engine.total_logins()
        for _ in range(40):
            await connect_one_by_one(cluster, 1)
            await settled(cluster)
        assert await engine.total_logins() - before == 3 * 40
        assert sum(node.logins for node in cluster.stats().nodes.values()) == 3 * 40


async def test_a_plain_race_never_costs_more_than_one_login_per_node(engine: Engine) -> None:
    async with engine.unwatched(stagger=0) as cluster:
        before = await engine.total_logins()
        await connect_one_by_one(cluster, 100)
        await asyncio.gather(*(connect_one_by_one(cluster, 10) for _ in range(10)))
        await settled(cluster)
        assert 200 <= await engine.total_logins() - before <= 3 * 200


async def test_two_hundred_connects_at_once_are_no_outage(engine: Engine) -> None:
    async with engine.unwatched() as cluster:
        await warm_up(cluster, WARM)
        before = await engine.total_logins()
        health = watch(cluster, HealthChanged)
        conns = await asyncio.gather(*(cluster.connect() for _ in range(200)))
        assert await engine.total_sessions() >= 200
        await close_all(engine, conns)
        await settled(cluster)
        assert 200 <= await engine.total_logins() - before <= 210
        assert health == []
    await engine.wait_left()


async def test_kept_connections_spread_evenly(engine: Engine) -> None:
    async with engine.unwatched() as cluster:
        await warm_up(cluster, WARM)
        conns = [await cluster.connect() for _ in range(240)]
        spread = shares(Counter(cluster.node_of(conn) for conn in conns))
        await close_all(engine, conns)
    assert len(spread) == 3
    assert all(28 <= share <= 39 for share in spread.values()), spread


async def test_kept_connections_spread_evenly_right_after_a_burst(engine: Engine) -> None:
    async with engine.unwatched() as cluster:
        await warm_up(cluster, WARM)
        await close_all(engine, await asyncio.gather(*(cluster.connect() for _ in range(200))))
        conns = [await cluster.connect() for _ in range(240)]
        spread = shares(Counter(cluster.node_of(conn) for conn in conns))
        await close_all(engine, conns)
    assert len(spread) == 3
    assert all(22 <= share <= 45 for share in spread.values()), spread


async def test_connections_opened_and_closed_one_by_one_spread_evenly(engine: Engine) -> None:
    async with engine.unwatched() as cluster:
        await warm_up(cluster, WARM)
        nodes, _ = await connect_one_by_one(cluster, 600)
    spread = shares(nodes)
    assert len(spread) == 3
    assert all(22 <= share <= 45 for share in spread.values()), spread


async def test_a_node_far_away_gets_few(engine: Engine, proxy: MakeProxy) -> None:
    far = await between(engine, proxy, engine.nodes[2], delay=0.010)  # each way
    ports = {"near1": engine.nodes[0].port, "near2": engine.nodes[1].port, "far": far.port}
    async with engine.unwatched(ports) as cluster:
        await warm_up(cluster, WARM)
        nodes, _ = await connect_one_by_one(cluster, 600)
    spread = shares(nodes)
    assert spread.get("far", 0) < 12, spread
    assert all(spread[near] > 22 for near in ("near1", "near2")), spread
