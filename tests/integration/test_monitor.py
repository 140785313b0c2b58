"""The monitor on real servers: frozen, killed and restarted nodes, a promotion, and a loop that is blocked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from aioclustersql import Cluster
from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.events import HealthChanged, Interrupted
from aioclustersql.node import Health, Role
from tests.integration.support import ENGINES, Engine, Galera, Postgres, between, engine_of, until, watch
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]

INTERVAL_AND_TIMEOUT = 1.5
SLACK = 0.25
"""For a machine that is busy."""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers."""
    return engine_of(request)


async def all_up(cluster: Cluster[Any]) -> None:
    """Until every node has been probed and is up."""

    async def is_so() -> bool:
        return all(node.observed is not None and node.health is Health.UP for node in cluster.stats().nodes.values())

    await until(is_so, f"not all are up: {cluster!r}")


async def seen(cluster: Cluster[Any], condition: Callable[[Any], bool], timeout: float = 10.0) -> float:
    """Seconds until the statistics of the nodes say so."""
    began = asyncio.get_running_loop().time()

    async def is_so() -> bool:
        return condition(cluster.stats().nodes)

    await until(is_so, f"it was never seen: {cluster!r}", timeout)
    return asyncio.get_running_loop().time() - began


async def connection_on(engine: Engine, cluster: Cluster[Any], name: str) -> Any:
    """A connection to that node; others are closed."""
    while True:
        conn = await cluster.connect()
        if cluster.node_of(conn) == name:
            return conn
        await engine.close(conn)


async def test_a_frozen_node_is_found_down_and_what_hangs_on_it_fails(engine: Engine) -> None:
    node = engine.nodes[1]
    async with engine.cluster() as cluster:
        await all_up(cluster)
        changes, cuts = watch(cluster, HealthChanged), watch(cluster, Interrupted)
        conn = await connection_on(engine, cluster, node.name)
        node.freeze()
        began = asyncio.get_running_loop().time()
        with pytest.raises(Exception) as caught:  # the driver's own
            await engine.value(conn, "SELECT 1")
        took = asyncio.get_running_loop().time() - began
        assert took <= INTERVAL_AND_TIMEOUT + SLACK
        assert not isinstance(caught.value, TimeoutError)
        assert "was found silent: no answer to a probe and a login within 0.5 s" in str(
            cluster._registry.interruptions.reason(conn)
        )
        assert [(change.node, change.new) for change in changes] == [(node.name, Health.DOWN)]
        assert [(cut.node, cut.connections) for cut in cuts] == [(node.name, 1)]
        await asyncio.sleep(1)
        node.thaw()
        await seen(cluster, lambda nodes: nodes[node.name].health is Health.UP, 20)
    await engine.wait_left()


async def test_a_galera_node_that_wakes_is_up_only_when_it_has_caught_up(galera: GaleraCluster) -> None:
    engine = Galera(galera)
    node = engine.nodes[1]
    async with engine.cluster() as cluster:
        await all_up(cluster)
        node.freeze()
        await seen(cluster, lambda nodes: nodes[node.name].health is Health.DOWN)
        await asyncio.sleep(2)
        await asyncio.to_thread(engine.nodes[0].sql, "CREATE TABLE IF NOT EXISTS test.woken (id INT PRIMARY KEY)", 10.0)
        await asyncio.to_thread(engine.nodes[0].sql, "REPLACE INTO test.woken VALUES (1)", 10.0)
        node.thaw()
        await seen(cluster, lambda nodes: nodes[node.name].health is Health.UP, 20)
        rows = await asyncio.to_thread(node.sql, "SELECT COUNT(*) FROM test.woken")
        assert rows == ((1,),)
    await engine.wait_left()


async def test_a_killed_node_is_found_down_and_up_again_after_its_restart(engine: Engine) -> None:
    node = engine.nodes[1]
    async with engine.cluster() as cluster:
        await all_up(cluster)
        conn = await connection_on(engine, cluster, node.name)
        await asyncio.to_thread(node.kill9)
        with pytest.raises(Exception) as caught:  # the driver's own
            await engine.value(conn, "SELECT 1")
        driver = cluster._registry.driver
        member = cluster._registry.get(node.name)
        cluster._registry.session_lost(member, driver.classify(caught.value), caught.value, generation=member.generation)
        assert await seen(cluster, lambda nodes: nodes[node.name].health is Health.DOWN) <= 0.2
        driver.terminate(conn)
        await asyncio.to_thread(node.restart if isinstance(engine, Galera) else node.start)
        assert await seen(cluster, lambda nodes: nodes[node.name].health is Health.UP) <= 1.0
    await engine.wait_left()


async def test_a_loop_that_is_blocked_for_two_seconds_does_nobody_harm(engine: Engine) -> None:
    async with engine.cluster() as cluster:
        await all_up(cluster)
        changes, cuts = watch(cluster, HealthChanged), watch(cluster, Interrupted)
        conns = [await cluster.connect() for _ in range(3)]
        for pause in (0.0, 0.31):
            await asyncio.sleep(pause)
            time.sleep(2)  # noqa: ASYNC251 - what it is about
        await asyncio.sleep(2)
        for conn in conns:
            await engine.value(conn, "SELECT 1")
            await engine.close(conn)
        assert (changes, cuts) == ([], [])
    await engine.wait_left()


async def test_a_network_silent_for_a_second_is_no_nodes_fault(engine: Engine, proxy: MakeProxy) -> None:
    proxies = {node.name: await between(engine, proxy, node) for node in engine.nodes}
    async with engine.cluster({name: each.port for name, each in proxies.items()}) as cluster:
        await all_up(cluster)
        changes, cuts = watch(cluster, HealthChanged), watch(cluster, Interrupted)
        for each in proxies.values():
            await each.set_mode("hang")
        await asyncio.sleep(1)
        for each in proxies.values():
            await each.set_mode("ok")
        await asyncio.sleep(1)
        assert (changes, cuts) == ([], [])
    await engine.wait_left()


async def test_a_black_hole_is_found_down_and_up_again_when_it_ends(engine: Engine, proxy: MakeProxy) -> None:
    name = engine.nodes[1].name
    relay = await between(engine, proxy, engine.nodes[1])
    async with engine.cluster({**{node.name: node.port for node in engine.nodes}, name: relay.port}) as cluster:
        await all_up(cluster)
        await relay.set_mode("black_hole")
        assert await seen(cluster, lambda nodes: nodes[name].health is Health.DOWN) <= INTERVAL_AND_TIMEOUT + SLACK
        await asyncio.sleep(1)
        await relay.set_mode("ok")
        await seen(cluster, lambda nodes: nodes[name].health is Health.UP)
    await engine.wait_left()


async def test_a_killed_session_of_the_monitor_is_no_verdict(engine: Engine) -> None:
    node = engine.nodes[0]
    async with engine.cluster() as cluster:
        await all_up(cluster)
        changes = watch(cluster, HealthChanged)
        if isinstance(engine, Galera):
            rows = await asyncio.to_thread(
                node.sql, "SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> CONNECTION_ID()"
            )
            for (number,) in rows:
                await asyncio.to_thread(node.sql, f"KILL {number}")
        else:
            await asyncio.to_thread(
                node.sql,
                "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend'"
                " and pid <> pg_backend_pid()",
            )
        before = cluster.stats().nodes[node.name].logins
        await seen(cluster, lambda nodes: nodes[node.name].logins > before)
        await asyncio.sleep(1.5)
        assert changes == []
    await engine.wait_left()


@pytest.mark.parametrize("how", ["kill9", "freeze"])
async def test_a_promotion_is_seen_and_the_old_primary_is_not_taken_for_it_again(postgres: PostgresCluster, how: str) -> None:
    engine = Postgres(postgres)
    old, new = postgres.primary, postgres.standbys[0]
    async with engine.cluster(target="read-write") as cluster:
        await all_up(cluster)
        timeline = cluster.stats().nodes[old.name].timeline
        assert timeline is not None
        await asyncio.to_thread(getattr(old, how))
        await seen(cluster, lambda nodes: nodes[old.name].health is Health.DOWN)
        await asyncio.to_thread(new.promote)
        assert await seen(cluster, lambda nodes: nodes[new.name].role is Role.PRIMARY) <= 0.1
        assert cluster.stats().nodes[new.name].timeline == timeline + 1
        await asyncio.to_thread(old.thaw if how == "freeze" else old.start)
        await seen(cluster, lambda nodes: nodes[old.name].health is Health.UP)
        for _ in range(10):
            async with cluster.connect() as conn:
                assert cluster.node_of(conn) == new.name
        cause = cluster.stats().nodes[old.name].cause
        assert (
            cause == f"it claims to be primary on timeline {timeline}, but {new.name} is the primary on timeline {timeline + 1}"
        )
    await engine.wait_left()


async def test_the_lag_of_a_standby_is_known_and_without_a_primary_is_not(postgres: PostgresCluster) -> None:
    engine = Postgres(postgres)
    standby = postgres.standbys[0]
    async with engine.cluster() as cluster:
        await all_up(cluster)
        await asyncio.to_thread(postgres.primary.sql, "create table if not exists monitor_lag ()")
        await seen(cluster, lambda nodes: nodes[standby.name].lag == 0 and nodes[standby.name].lag_bytes == 0)
        await asyncio.to_thread(postgres.primary.kill9)
        await seen(cluster, lambda nodes: nodes[standby.name].lag is None)


async def test_the_round_trips_of_equal_nodes_are_equal(engine: Engine) -> None:
    async with engine.cluster(monitor_interval=0.1) as cluster:
        await all_up(cluster)
        await asyncio.sleep(3)
        trips = sorted(node.round_trip or 0 for node in cluster.stats().nodes.values())
        print(f"round trips: {', '.join(f'{1000 * trip:.2f} ms' for trip in trips)}")
        assert trips[0] > 0
        assert trips[2] < 0.05
    await engine.wait_left()
