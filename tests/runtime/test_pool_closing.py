"""The end of a pool: leases finish, or are cut; whoever waits is told; nothing is left; and it may begin again."""

from __future__ import annotations

import asyncio
import math

import pytest

from aioclustersql import NotOpen, WrongLoop
from aioclustersql.testing import FakeConnection, FakeDriver, FakeError, ResetAnswer, VirtualLoop

from .conftest import Pooling
from .tools import WAYS_TO_RESET, FakeCluster, books, cluster_over, lease, leasing, moment, now, warm


async def test_opening_asks_no_server(pooling: Pooling):
    _cluster, driver = await pooling(("a", None, "silent"))
    assert (now(), driver.starts) == (0, [])


async def test_opening_with_a_least_size_waits_for_no_server(pooling: Pooling):
    _cluster, _ = await pooling(("a", None, "silent"), ("b", 0, "refused"), min_size=1)
    assert now() == 0


async def test_closing_says_goodbye_to_idle_connections(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    await warm(cluster, 3)
    goodbyes = driver["a"].goodbyes
    await cluster.close()
    assert (driver["a"].goodbyes - goodbyes, driver["a"].terminated) == (3, 0)


async def test_closing_lets_leases_finish(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))

    async def work() -> None:
        async with cluster.acquire() as conn:
            await asyncio.sleep(2)
            await conn.execute("SELECT 1")

    worker = asyncio.create_task(work())
    await moment()
    await cluster.close()
    assert round(now(), 2) == 2
    await worker
    assert (driver["a"].goodbyes, driver["a"].terminated) == (1, 0)


async def test_at_its_time_out_closing_cuts_the_rest(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), close_timeout=3.0)

    async def work() -> None:
        async with cluster.acquire() as conn:
            await asyncio.sleep(10)
            await conn.execute("SELECT 1")

    worker = asyncio.create_task(work())
    await moment()
    await cluster.close()
    assert (round(now(), 2), driver["a"].terminated) == (3, 1)
    with pytest.raises(FakeError) as caught:
        await worker
    assert caught.value.__notes__ == ["on node 'a' (a): the connection was closed by the cluster: it was closed itself"]


async def test_no_time_at_all_cuts_them_at_once(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    conns = await lease(cluster, 3)
    began = now()
    await cluster.close(timeout=0)
    assert (now() - began, {conn.how_closed for conn in conns}) == (0, {"terminated"})


async def test_what_was_cut_by_the_end_may_still_be_released(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    conn = await cluster.acquire()
    await cluster.close(timeout=0)
    await cluster.release(conn)


async def test_without_a_limit_closing_waits_for_the_last_lease(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    conn = await cluster.acquire()
    closing = asyncio.create_task(cluster.close(timeout=math.inf))
    await asyncio.sleep(1000)
    assert not closing.done()
    await cluster.release(conn)
    await closing


async def test_who_waits_is_told_that_it_is_over(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1)
    conn = await cluster.acquire()
    waiting = leasing(cluster)
    await moment()
    closing = asyncio.create_task(cluster.close())
    await moment()
    with pytest.raises(NotOpen, match="cluster 'cluster' is being closed"):
        await waiting
    with pytest.raises(NotOpen, match="cluster 'cluster' is being closed"):
        await cluster.acquire()
    await cluster.release(conn)
    await closing


async def test_who_waits_until_it_is_ready_is_told_that_it_is_over(pooling: Pooling):
    cluster, _ = await pooling(("a", None, "silent"))
    waiting = asyncio.create_task(cluster.wait_ready(timeout=math.inf))
    await moment()
    await cluster.close()
    with pytest.raises(NotOpen, match="was closed meanwhile"):
        await waiting


@WAYS_TO_RESET
async def test_closing_waits_for_resets_and_says_goodbye(pooling: Pooling, answer: ResetAnswer):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_delay, driver["a"].reset_answer = 0.25, answer
    first, second = await cluster.acquire(), await cluster.acquire()
    await cluster.release(first)
    await asyncio.sleep(0.125)
    await cluster.release(second)
    await cluster.close(timeout=2)
    assert (now() >= 0.375, driver["a"].resets, driver["a"].goodbyes, driver["a"].terminated) == (True, 2, 2, 0)


@WAYS_TO_RESET
async def test_closing_does_not_wait_for_a_reset_longer_than_its_time_out(pooling: Pooling, answer: ResetAnswer):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_answer = answer
    async with cluster.acquire():
        driver["a"].freeze()
    await cluster.close(timeout=0.5)
    assert round(now(), 2) == 0.5
    driver.assert_nothing_open()


@WAYS_TO_RESET
async def test_closing_ends_a_reset_on_a_node_that_was_removed(pooling: Pooling, answer: ResetAnswer):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "ok"))
    driver["a"].reset_answer = driver["b"].reset_answer = answer
    async with cluster.acquire() as conn:
        conn.server.freeze()
    cluster.remove_node(conn.server.name)
    await cluster.close(timeout=0.5)
    driver.assert_nothing_open()


async def test_logins_under_way_end_within_their_grace(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"), ("b", None, "silent"), min_size=2)
    await moment()
    await cluster.close()
    assert now() <= 1.01
    driver.assert_nothing_open()


async def test_closing_twice_at_once_ends_both(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    conn = await cluster.acquire()
    closings = [asyncio.create_task(cluster.close(timeout=math.inf)) for _ in range(2)]
    await asyncio.sleep(1)
    await cluster.release(conn)
    await asyncio.gather(*closings)
    assert round(now(), 2) == 1


async def test_it_cannot_be_opened_while_it_is_being_closed(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    conn = await cluster.acquire()
    closing = asyncio.create_task(cluster.close())
    await moment()
    with pytest.raises(NotOpen, match="is being closed"):
        await cluster.open()
    await cluster.release(conn)
    await closing


async def test_a_cancelled_close_leaves_nothing(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    conn = await cluster.acquire()
    await warm(cluster, 2)
    closing = asyncio.create_task(cluster.close(timeout=math.inf))
    await moment()
    closing.cancel()
    await asyncio.wait([closing])
    assert (closing.cancelled(), conn.how_closed) == (True, "terminated")
    driver.assert_nothing_open()


async def test_opened_again_it_serves_again(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), min_size=1)
    for _ in range(3):
        async with cluster.acquire():
            pass
        await cluster.close()
        driver.assert_nothing_open()
        await cluster.open()
    await moment()
    assert books(cluster) == {"a": (1, 0, 0, 0)}


async def test_opening_twice_does_no_harm(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    await warm(cluster, 1)
    await cluster.open()
    assert books(cluster) == {"a": (1, 0, 0, 0)}


# -- other loops -----------------------------------------------------------------------------------------------------------


async def once(cluster: FakeCluster) -> FakeConnection:
    async with cluster, cluster.acquire() as conn:
        return conn


def test_it_may_be_opened_in_one_loop_after_the_other():
    driver = FakeDriver("a")
    cluster = cluster_over(driver, monitor_interval=None)
    for _ in range(3):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(once(cluster))
        driver.assert_nothing_open()


def test_it_may_be_opened_when_its_loop_was_closed_under_it():
    driver = FakeDriver("a")
    cluster = cluster_over(driver, monitor_interval=None)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(cluster.open())
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(once(cluster))
    driver.assert_nothing_open()


def test_in_another_loop_it_is_refused_while_open():
    driver = FakeDriver("a")
    cluster = cluster_over(driver, monitor_interval=None)

    async def use() -> None:
        await cluster.acquire()

    with asyncio.Runner(loop_factory=VirtualLoop) as first, asyncio.Runner(loop_factory=VirtualLoop) as second:
        first.run(cluster.open())
        for forbidden in (use, cluster.open, cluster.close, lambda: cluster.resize(max_size=3), cluster.wait_ready):
            with pytest.raises(WrongLoop, match="cluster 'cluster' is in use in another event loop"):
                second.run(forbidden())
        first.run(cluster.close())
        second.run(once(cluster))
    driver.assert_nothing_open()


def test_no_open_cluster_is_needed_for_its_sizes():
    cluster = cluster_over(FakeDriver("a"), monitor_interval=None)
    asyncio.run(cluster.resize(max_size=3))
    with pytest.raises(NotOpen):
        cluster.expire()
