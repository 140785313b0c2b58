"""What time does to the pool: connections grow old, idle ones are closed or asked, forgotten leases are reported."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from .conftest import Pooling
from .tools import books, lease, leasing, moment, now, warm


async def test_a_connection_that_is_too_old_is_replaced(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), max_lifetime=100.0, min_size=1, max_idle_time=1000.0)
    await asyncio.sleep(89)
    assert driver["a"].started == 1
    await asyncio.sleep(13)
    assert (driver["a"].started, driver["a"].goodbyes, books(cluster)["a"][0]) == (2, 1, 1)


async def test_one_that_grew_too_old_on_lease_is_closed_on_its_return(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), max_lifetime=100.0)
    async with cluster.acquire() as conn:
        await asyncio.sleep(101)
        assert not conn.closed
    await moment()
    assert (driver["a"].goodbyes, driver["a"].resets) == (1, 0)


async def test_what_was_opened_together_does_not_end_together(pooling: Pooling):
    _cluster, driver = await pooling(("a", 0, "ok"), max_lifetime=1000.0, max_idle_time=5000.0, min_size=10)
    await asyncio.sleep(1002)
    ends = [round(line.time) for line in driver.trace if line.what == "goodbye"]
    assert len(ends) == 10
    assert len(set(ends)) >= 8


async def test_what_was_idle_for_too_long_is_closed(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), max_idle_time=50.0)
    await warm(cluster, 3)
    await asyncio.sleep(43)
    assert books(cluster) == {"a": (3, 0, 0, 0)}
    await asyncio.sleep(10)
    assert (books(cluster), driver.open) == ({"a": (0, 0, 0, 0)}, 0)


async def test_idle_connections_are_kept_down_to_the_least_size(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_idle_time=50.0, min_size=2)
    await warm(cluster, 5)
    await asyncio.sleep(60)
    assert books(cluster) == {"a": (2, 0, 0, 0)}


async def test_a_connection_in_use_now_and_then_is_not_idle(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), max_idle_time=50.0)
    for _ in range(10):
        async with cluster.acquire():
            pass
        await asyncio.sleep(20)
    assert driver["a"].started == 1


# -- is it alive? ----------------------------------------------------------------------------------------------------------


async def test_a_connection_idle_for_long_is_asked_before_it_is_leased(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.2, "ok"))
    await warm(cluster, 1)
    async with cluster.acquire():
        pass
    assert driver["a"].pings == 0
    await asyncio.sleep(31)
    driver["a"].ping_delay = 0.125
    began = now()
    async with cluster.acquire():
        assert (now() - began, driver["a"].pings) == (0.125, 1)


async def test_dead_connections_are_found_all_at_once_and_replaced(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.01, "ok"))
    await warm(cluster, 5)
    await asyncio.sleep(31)
    driver["a"].ping_delay = 1.0  # by then they are known to be dead
    caller = leasing(cluster)
    await asyncio.sleep(0.5)
    driver["a"].restart()
    await cluster.release(await caller)
    assert now() < 34
    assert driver["a"].pings == 5


async def test_silent_ones_are_waited_for_no_longer_than_a_failover(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.01, "ok"), ("b", 0.01, "ok"))
    await warm(cluster, 6)
    await asyncio.sleep(31)
    driver["a"].freeze()
    driver["b"].freeze()
    caller = leasing(cluster)
    await moment()
    driver["b"].frozen = False  # its old connections stay silent, new ones do not
    began = now()
    await asyncio.wait([caller])
    assert now() - began <= 0.55
    await cluster.release(await caller)
    driver["a"].thaw()
    driver["b"].thaw()


async def test_after_a_restart_nobody_gets_a_dead_connection(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.01, "ok"), ("b", 0.01, "ok"))
    await warm(cluster, 6)
    for server in driver:
        server.restart()
    for conn in await lease(cluster, 6):
        await conn.execute("SELECT 1")
        await cluster.release(conn)


async def test_who_waits_gets_no_connection_that_was_idle_for_long_unasked(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "ok"), max_size=1)
    await warm(cluster, 2)
    await asyncio.sleep(31)
    await cluster.drain_node("b", timeout=0)
    first = await cluster.acquire()
    assert driver["a"].pings == 1
    waiting = leasing(cluster)
    await moment()
    cluster.resume_node("b")
    await cluster.release(await waiting)
    await cluster.release(first)


# -- forgotten leases ------------------------------------------------------------------------------------------------------


async def test_with_debug_a_lease_held_for_long_is_reported_once(pooling: Pooling, caplog: pytest.LogCaptureFixture):
    cluster, _ = await pooling(("a", 0, "ok"), debug=True)
    async with cluster.acquire():
        await asyncio.sleep(59)
        assert caplog.messages == []
        await asyncio.sleep(100)
        [message] = caplog.messages
        assert message.startswith("cluster cluster: a connection on node a has been leased for 60 s; it was taken at ")
        assert "test_pool_time.py:" in message


async def test_with_debug_the_next_long_lease_is_reported_too(pooling: Pooling, caplog: pytest.LogCaptureFixture):
    cluster, _ = await pooling(("a", 0, "ok"), debug=True)
    for _ in range(2):
        async with cluster.acquire():
            await asyncio.sleep(90)
        await moment()
    assert len(caplog.messages) == 2


async def test_without_debug_nothing_is_reported(pooling: Pooling, caplog: pytest.LogCaptureFixture):
    cluster, _ = await pooling(("a", 0, "ok"))
    async with cluster.acquire():
        await asyncio.sleep(100)
    assert caplog.messages == []


# -- an even spread --------------------------------------------------------------------------------------------------------


async def test_a_rejoined_node_gets_its_share_back_one_at_a_time(pooling: Pooling):
    cluster, driver = await pooling(*((name, 0.01, "ok") for name in "abc"))
    await warm(cluster, 12)
    driver["c"].kill()
    conns = await lease(cluster, 12)
    for conn in conns:
        await cluster.release(conn)
    await asyncio.sleep(2)
    assert books(cluster)["c"] == (0, 0, 0, 0)
    driver["c"].restart()
    driver.trace.clear()
    await asyncio.sleep(15)
    async with cluster.acquire():
        pass
    await asyncio.sleep(5)
    assert [books(cluster)[name][0] for name in "abc"] == [4, 4, 4]
    moves = [line.time for line in driver.trace if line.server == "c" and line.what == "login"][1:]  # the first is the probe
    assert all(later - earlier >= 0.199 for earlier, later in pairwise(moves))


async def test_moving_a_connection_takes_none_away_before_the_new_one_is_there(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.01, "ok"), ("b", 0.125, "ok"))
    await warm(cluster, 6)
    driver["b"].restart()
    for conn in await lease(cluster, 6):
        await cluster.release(conn)
    driver["b"].outcome = "overloaded"
    cluster.expire("b")
    await asyncio.sleep(20)
    assert books(cluster)["a"][0] >= 3


async def test_within_the_total_a_connection_is_moved_too(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.01, "ok"), ("b", 0.01, "ok"), max_total=6)
    await cluster.drain_node("b")
    await warm(cluster, 6)
    cluster.resume_node("b")
    async with cluster.acquire():
        pass
    await asyncio.sleep(5)
    assert [books(cluster)[name][0] for name in "ab"] == [3, 3]
