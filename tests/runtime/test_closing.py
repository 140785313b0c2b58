"""Opening and closing: what is under way ends in time, and nothing is left."""

from __future__ import annotations

import asyncio
import math

import pytest

from aioclustersql import NotOpen
from aioclustersql.testing import FakeDriver

from .conftest import Racing
from .tools import cluster_over, now, start


def tasks_but_this_one() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


def test_making_a_cluster_needs_no_loop():
    assert cluster_over(FakeDriver("a", "b")).nodes == ("a", "b")


async def test_opening_waits_for_no_server_and_logs_in_nowhere(racing: Racing):
    cluster, driver = racing(("a", None, "silent"))
    await cluster.open()
    assert (now(), driver.starts, cluster.stats().open) == (0, [], True)


async def test_connect_works_on_a_cluster_that_is_not_open(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    await cluster.connect()
    assert not cluster.stats().open


async def test_a_cluster_is_open_inside_its_block(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    async with cluster as entered:
        assert entered is cluster
        assert cluster.stats().open
    assert not cluster.stats().open


async def test_opening_and_closing_twice_does_no_harm(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    await cluster.close()
    await cluster.open()
    await cluster.open()
    assert cluster.stats().open
    await cluster.close()
    await cluster.close()
    assert not cluster.stats().open


async def test_a_closed_cluster_may_be_opened_again(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    for _ in range(3):
        async with cluster:
            driver.terminate(await cluster.connect())
    driver.assert_nothing_open()


@pytest.mark.every_loop
async def test_closing_ends_callers_with_not_open(racing: Racing):
    cluster, driver = racing(("a", 0.5, "ok"))
    caller = start(cluster)
    await asyncio.sleep(0.125)
    await cluster.close()
    with pytest.raises(NotOpen, match="cluster 'cluster' was closed while connecting"):
        await caller
    assert (driver["a"].goodbyes, driver.interrupted) == (1, 0)


async def test_closing_ends_callers_that_wait_between_two_races(racing: Racing):
    cluster, _ = racing(("a", 0, "refused"))
    caller = start(cluster, wait=True, timeout=60)
    await asyncio.sleep(5)
    await cluster.close()
    with pytest.raises(NotOpen):
        await caller


@pytest.mark.every_loop
async def test_closing_waits_for_stragglers_within_their_grace(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.75, "ok"))
    await cluster.connect()
    await cluster.close()
    assert (now(), driver["b"].goodbyes, driver.interrupted) == (0.75, 1, 0)
    assert tasks_but_this_one() == set()


async def test_closing_takes_no_longer_than_the_grace_of_a_silent_straggler(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", None, "silent"))
    await cluster.connect()
    await cluster.close(timeout=math.inf)
    assert (now(), driver.interrupted) == (1.25, 1)


async def test_closing_takes_no_longer_than_its_time(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", None, "silent"))
    await cluster.connect()
    await cluster.close(timeout=0.5)
    assert (now(), driver.interrupted) == (0.75, 1)


async def test_closing_in_no_time_interrupts_everything(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", None, "silent"), ("c", 0.25, "ok"))
    driver["c"].close_delay = 60
    conn = await cluster.connect()
    await cluster.close(timeout=0)
    assert now() == 0.25
    driver.assert_only_open(conn)
    assert tasks_but_this_one() == set()


async def test_a_goodbye_that_hangs_is_bounded_by_the_time_of_closing(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.25, "ok"))
    driver["a"].close_delay = driver["b"].close_delay = math.inf
    conn = await cluster.connect()
    await cluster.close(timeout=0.5)
    assert now() == 0.75
    driver.assert_only_open(conn)


async def test_connections_handed_out_stay_their_users(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    conn = await cluster.connect()
    await cluster.close()
    assert not conn.closed
    assert cluster.node_of(conn) == "a"


async def test_a_connect_while_closing_is_refused(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", None, "silent"))
    await cluster.connect()
    closing = asyncio.create_task(cluster.close())
    await asyncio.sleep(0.125)
    with pytest.raises(NotOpen, match="is being closed"):
        await cluster.connect()
    await closing
    assert (await cluster.connect()).server.name == "a"


async def test_a_cancelled_close_leaves_nothing_either(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", None, "silent"))
    conn = await cluster.connect()
    closing = asyncio.create_task(cluster.close())
    await asyncio.sleep(0.125)
    closing.cancel()
    await asyncio.wait({closing})
    assert closing.cancelled()
    driver.assert_only_open(conn)
    assert tasks_but_this_one() == set()


async def test_two_that_close_at_once_both_come_back(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", None, "silent"))
    await cluster.connect()
    await asyncio.gather(cluster.close(), cluster.close())
    assert tasks_but_this_one() == set()


@pytest.mark.parametrize("wrong", [-1, math.nan, "1"])
async def test_a_close_timeout_that_is_no_time_is_refused(racing: Racing, wrong: float):
    cluster, _ = racing(("a", 0.25, "ok"))
    with pytest.raises(ValueError, match="timeout is seconds, 0 or more"):
        await cluster.close(timeout=wrong)
    with pytest.raises(ValueError, match="close_timeout is seconds, 0 or more"):
        cluster_over(FakeDriver("a"), close_timeout=wrong)


async def test_closing_in_no_time_right_after_the_start_leaves_nothing(racing: Racing):
    for turns in range(1, 8):
        cluster, driver = racing(("a", 0, "ok"), ("b", 0, "ok"), ("c", None, "silent"))
        caller = start(cluster)
        for _ in range(turns):
            await asyncio.sleep(0)
        await cluster.close(timeout=0)
        await asyncio.wait({caller})
        if caller.exception() is None:
            driver.terminate(caller.result())
        driver.assert_nothing_open()
        assert tasks_but_this_one() == set()


@pytest.mark.parametrize("starts_first", [True, False])
async def test_a_login_that_is_cut_before_it_ran_is_no_obstacle_to_closing(racing: Racing, starts_first: bool):
    cluster, _ = racing(("a", 0.25, "refused"), stagger=0)

    async def late() -> None:
        await asyncio.sleep(0.25)  # begins its login in the very turn in which the other one finds the node down
        await cluster.connect()

    callers = [asyncio.create_task(late()), start(cluster)]
    if not starts_first:
        callers.reverse()
    await asyncio.wait(callers)
    assert [type(caller.exception()).__name__ for caller in callers] == ["AllNodesFailed"] * 2
    assert cluster.stats().nodes["a"].connecting == 0
    await cluster.close()


async def test_closing_the_cluster_cancels_no_user_who_is_saying_goodbye(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    driver["a"].close_delay = math.inf

    async def user() -> None:
        async with cluster.connect():
            pass

    task = asyncio.create_task(user())
    await asyncio.sleep(0.5)
    await cluster.close(timeout=0)
    await asyncio.wait({task})
    assert not task.cancelled()


async def test_a_caller_hears_of_the_closing_at_once(racing: Racing):
    cluster, _ = racing(("a", 0.5, "ok"))
    connecting = start(cluster)
    await asyncio.sleep(0.125)
    closing = asyncio.create_task(cluster.close())
    with pytest.raises(NotOpen):
        await connecting
    assert now() == 0.125
    await closing
