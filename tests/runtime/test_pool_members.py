"""The pool while nodes come, go and drain."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from aioclustersql.testing import FakeError

from .conftest import Pooling
from .tools import FakeCluster, books, lease, leasing, moment, now, warm


async def use(cluster: FakeCluster, seconds: float) -> None:
    async with cluster.acquire() as conn:
        await asyncio.sleep(seconds)
        await conn.execute("SELECT 1")


# -- draining --------------------------------------------------------------------------------------------------------------


async def test_draining_waits_for_the_leases_of_the_node(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "ok"))
    conns = {cluster.node_of(conn): conn for conn in await lease(cluster, 2)}
    drained = asyncio.create_task(cluster.drain_node("a"))
    await asyncio.sleep(5)
    assert not drained.done()
    await cluster.release(conns["a"])
    assert await drained == 0
    assert driver["a"].open == 0
    await cluster.release(conns["b"])


async def test_a_draining_node_gets_no_leases_and_no_logins(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "ok"), min_size=1)
    await asyncio.sleep(1)
    await cluster.drain_node("a")
    started = driver["a"].started
    conns = await lease(cluster, 10)
    await asyncio.sleep(5)
    assert (Counter(map(cluster.node_of, conns)), driver["a"].started, driver["a"].open) == ({"b": 10}, started, 0)
    for conn in conns:
        await cluster.release(conn)


async def test_at_its_time_out_draining_cuts_the_rest(pooling: Pooling, caplog: pytest.LogCaptureFixture):
    cluster, _ = await pooling(("a", 0, "ok"))
    conn, other = await lease(cluster, 2)
    assert await cluster.drain_node("a", timeout=2) == 2
    assert (round(now(), 3), conn.how_closed, other.how_closed) == (2, "terminated", "terminated")
    assert caplog.messages == ["cluster cluster: node a: interrupted 2 connections: node 'a' was drained, within 2 s"]


async def test_who_is_cut_is_told_why(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    caller = asyncio.create_task(use(cluster, 5))
    await moment()
    await cluster.drain_node("a", timeout=1)
    with pytest.raises(FakeError) as caught:
        await caller
    assert caught.value.__notes__ == [
        "on node 'a' (a): the connection was closed by the cluster: node 'a' was drained, within 1 s"
    ]


async def test_what_was_cut_may_still_be_released(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    conn = await cluster.acquire()
    await cluster.drain_node("a", timeout=0)
    await cluster.release(conn)
    assert books(cluster) == {"a": (0, 0, 0, 0)}


async def test_a_node_that_is_resumed_serves_who_waits(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    await cluster.drain_node("a")
    caller = leasing(cluster)
    await asyncio.sleep(1)
    cluster.resume_node("a")
    await cluster.release(await caller)
    assert now() <= 1.001


async def test_resuming_ends_a_drain(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    conn = await cluster.acquire()
    drained = asyncio.create_task(cluster.drain_node("a"))
    await asyncio.sleep(1)
    cluster.resume_node("a")
    assert await drained == 0
    await cluster.release(conn)
    await moment()
    assert books(cluster) == {"a": (1, 0, 0, 0)}


async def test_a_rolling_restart_interrupts_nobody(pooling: Pooling):
    cluster, driver = await pooling(*((name, 0.01, "ok") for name in "abc"))
    stop = False

    async def work() -> None:
        while not stop:
            await use(cluster, 0.01)

    workers = [asyncio.create_task(work()) for _ in range(10)]
    for name in "abc":
        await asyncio.sleep(1)
        assert await cluster.drain_node(name, timeout=5) == 0
        driver[name].restart()
        cluster.resume_node(name)
    stop = True
    await asyncio.gather(*workers)
    assert sum(server.terminated for server in driver) == 0


# -- removed, added, changed -----------------------------------------------------------------------------------------------


async def test_leases_of_a_removed_node_are_their_users_until_they_return_them(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "ok"))
    conns = {cluster.node_of(conn): conn for conn in await lease(cluster, 2)}
    cluster.remove_node("a")
    await conns["a"].execute("SELECT 1")
    await cluster.release(conns["a"])
    await moment()
    assert (driver["a"].open, driver["a"].goodbyes, books(cluster)) == (0, 1, {"b": (0, 1, 0, 0)})
    await cluster.release(conns["b"])


async def test_the_idle_connections_of_a_removed_node_say_goodbye(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    await warm(cluster, 3)
    goodbyes = driver["a"].goodbyes
    cluster.remove_node("a")
    await moment()
    assert (driver["a"].open, driver["a"].goodbyes - goodbyes) == (0, 3)


async def test_a_login_on_a_node_that_was_removed_meanwhile_is_closed(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"), ("b", 0.2, "ok"))
    caller = leasing(cluster)
    await asyncio.sleep(0.0625)
    cluster.remove_node("a")
    async with asyncio.timeout(1):
        conn = await caller
    assert (cluster.node_of(conn), driver["a"].goodbyes, driver["a"].open) == ("b", 1, 0)
    await cluster.release(conn)


async def test_a_node_added_anew_under_its_name_starts_afresh(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1)
    conn = await cluster.acquire()
    cluster.remove_node("a")
    cluster.add_node("a", "fake://app@a/test")
    async with cluster.acquire(timeout=1) as fresh:
        assert fresh is not conn
        await cluster.release(conn)
        assert books(cluster) == {"a": (0, 1, 0, 0)}


async def test_a_node_that_is_added_serves_who_waits(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), ("b", 0, "ok"))
    cluster.remove_node("a")
    cluster.remove_node("b")
    caller = leasing(cluster)
    await asyncio.sleep(1)
    cluster.add_node("a", "fake://app@a/test")
    await cluster.release(await caller)
    assert now() <= 1.001


async def test_with_another_address_nothing_of_the_old_one_is_used(pooling: Pooling):
    cluster, driver = await pooling(("old", 0, "ok"))
    driver.add("new")
    await warm(cluster, 2)
    leased = await cluster.acquire()
    cluster.update_node("old", "fake://app@new/test")
    async with cluster.acquire() as conn:
        assert conn.server.name == "new"
    await cluster.release(leased)
    await moment()
    assert driver["old"].open == 0


async def test_a_login_on_an_old_address_is_not_kept(pooling: Pooling):
    cluster, driver = await pooling(("old", 0.125, "ok"))
    driver.add("new")
    caller = leasing(cluster)
    await asyncio.sleep(0.0625)
    cluster.update_node("old", "fake://app@new/test")
    assert (await caller).server.name == "new"
    await cluster.release(caller.result())
    await asyncio.sleep(1)
    assert driver["old"].open == 0
