"""Connections that expire and sizes that change while the pool is in use; and when it is ready."""

from __future__ import annotations

import asyncio
import math
from threading import Thread

import pytest

from aioclustersql import ConfigError, UnknownNode
from aioclustersql.errors import ReadyTimeout
from aioclustersql.node import Role

from .conftest import Pooling
from .tools import books, lease, leasing, moment, now, warm

# -- expired, resized ------------------------------------------------------------------------------------------------------


async def test_expired_connections_are_replaced_leased_ones_on_their_return(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    await warm(cluster, 3)
    conn = await cluster.acquire()
    old = set(driver.open_connections)
    cluster.expire()
    await moment()
    assert (books(cluster), driver.open_connections) == ({"a": (0, 1, 0, 0)}, (conn,))
    await cluster.release(conn)
    async with cluster.acquire() as fresh:
        assert fresh not in old


async def test_one_nodes_connections_may_be_expired(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), ("b", 0, "ok"))
    await warm(cluster, 4)
    cluster.expire("a")
    assert [books(cluster)[name][0] for name in "ab"] == [0, 2]
    with pytest.raises(UnknownNode):
        cluster.expire("c")


async def test_a_login_that_began_before_is_expired_too(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"))
    caller = leasing(cluster)
    await asyncio.sleep(0.0625)
    cluster.expire()
    conn = await caller
    assert (now() >= 0.25, driver["a"].goodbyes, driver["a"].started) == (True, 1, 2)
    await cluster.release(conn)


async def test_more_room_serves_who_waits(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1)
    conn = await cluster.acquire()
    caller = leasing(cluster)
    await asyncio.sleep(1)
    await cluster.resize(max_size=2)
    await cluster.release(await caller)
    assert now() <= 1.001
    await cluster.release(conn)


async def test_less_room_closes_idle_connections_now_and_leased_ones_on_their_return(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    await warm(cluster, 6)
    conns = await lease(cluster, 4)
    await cluster.resize(max_size=2)
    assert books(cluster) == {"a": (0, 4, 0, 0)}
    for conn in conns:
        await cluster.release(conn)
    await moment()
    assert (books(cluster), driver.open) == ({"a": (2, 0, 0, 0)}, 2)


async def test_a_smaller_total_is_reached_under_load(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "ok"))
    conns = await lease(cluster, 10)
    await cluster.resize(max_total=4)
    waiting = [leasing(cluster) for _ in range(10)]
    await moment()
    for conn in conns:
        await cluster.release(conn)
    await moment()
    assert driver.open == 4
    for caller in waiting:
        await cluster.release(await caller)


async def test_a_greater_least_size_is_filled(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    await cluster.resize(min_size=3)
    await moment()
    assert books(cluster) == {"a": (3, 0, 0, 0)}


async def test_sizes_outlive_the_pool(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    await cluster.resize(max_size=1)
    await cluster.close()
    await cluster.open()
    async with cluster.acquire():
        with pytest.raises(TimeoutError):
            await cluster.acquire(timeout=1)


async def test_sizes_that_contradict_each_other_are_refused(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), min_size=5)
    with pytest.raises(ConfigError, match="min_size=5 is above max_size=2; both are per node"):
        await cluster.resize(max_size=2)


# -- readiness -------------------------------------------------------------------------------------------------------------


async def test_waiting_until_it_is_ready_learns_of_the_nodes(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.125, "ok"), ("b", 0.25, "ok"))
    assert not cluster.is_ready()
    await cluster.wait_ready()
    assert (now(), cluster.is_ready(), cluster.is_ready(nodes=2)) == (0.125, True, False)
    await cluster.wait_ready(nodes=2)
    assert now() == 0.25


async def test_readiness_heeds_the_target(pooling: Pooling):
    cluster, _ = await pooling(("p", 0, "ok", Role.PRIMARY))
    await cluster.wait_ready(target="primary")
    assert not cluster.is_ready(target="standby")
    with pytest.raises(ReadyTimeout, match="0 of 1 nodes ready for standby within 1 s: p: up, primary"):
        await cluster.wait_ready(target="standby", timeout=1)


async def test_a_node_that_comes_up_later_is_waited_for(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "refused"))
    waiting = asyncio.create_task(cluster.wait_ready(timeout=math.inf))
    await asyncio.sleep(10)
    driver["a"].outcome = "ok"
    async with asyncio.timeout(7):
        await waiting


@pytest.mark.real_time
async def test_readiness_may_be_asked_from_another_thread(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    await cluster.wait_ready()
    found: list[object] = []
    thread = Thread(target=lambda: found.extend([cluster.is_ready(), cluster.stats().nodes["a"].idle]))
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.001)
    assert found == [True, 0]
