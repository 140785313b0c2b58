"""The pool while nodes come, go, drain and fail, and while its sizes change; and what users are told when that hits them."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from threading import Thread

import pytest

from aioclustersql import ConfigError, UnknownNode
from aioclustersql.errors import ReadyTimeout
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role
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


# -- failing nodes ---------------------------------------------------------------------------------------------------------


async def test_a_lost_session_says_which_node_it_was(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    with pytest.raises(FakeError) as caught:
        async with cluster.acquire() as conn:
            driver["a"].restart()
            await conn.execute("SELECT 1")
    assert caught.value.__notes__ == ["on node 'a' (a)"]


async def test_an_error_of_the_users_own_gets_no_note(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    with pytest.raises(FakeError) as caught:
        async with cluster.acquire():
            raise FakeError(FailureKind.OTHER, "no such table")
    assert not hasattr(caught.value, "__notes__")


async def test_a_connection_on_which_a_session_was_lost_is_never_leased_again(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    with pytest.raises(FakeError):
        async with cluster.acquire():
            raise FakeError(FailureKind.SESSION_LOST)  # though its driver does not know it yet
    await moment()
    assert (books(cluster), driver["a"].resets) == ({"a": (0, 0, 0, 0)}, 0)


async def test_when_a_node_is_found_down_its_idle_connections_go(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "ok"))
    await warm(cluster, 4)
    driver["a"].outcome = "starting"
    cluster._registry.get("a").avoid_until = 0.0
    leased = await lease(cluster, 6)
    await asyncio.sleep(0.5)
    assert books(cluster)["a"][0] == 0
    for conn in leased:
        await cluster.release(conn)


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
