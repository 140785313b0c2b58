"""Waiting for a lease: the order of those who wait, handing over, deadlines, and what is said when the time is over."""

from __future__ import annotations

import asyncio
import math

import pytest

from aioclustersql.errors import AcquireTimeout, TooManyWaiters
from aioclustersql.node import Role
from aioclustersql.policy.roundtrip import RoundTrip

from .conftest import Pooling
from .tools import books, lease, leasing, moment, now, warm


async def test_first_come_first_served(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1)
    conn = await cluster.acquire()
    order: list[int] = []

    async def caller(number: int) -> None:
        async with cluster.acquire():
            order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(caller(number))
        await moment()
        await cluster.release(conn)
    assert order == [0, 1, 2, 3, 4]


async def test_a_newcomer_does_not_overtake_those_who_wait(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1)
    conn = await cluster.acquire()
    first = leasing(cluster)
    await moment()
    await cluster.release(conn)
    second = leasing(cluster)
    await moment()
    assert (first.done(), second.done()) == (True, False)
    await cluster.release(first.result())
    await cluster.release(await second)


async def test_who_waits_gets_a_node_that_has_become_far_meanwhile(pooling: Pooling):
    cluster, _ = await pooling(("near", 0, "ok"), ("far", 0, "ok"), max_size=1)
    held = {cluster.node_of(conn): conn for conn in await lease(cluster, 2)}
    waiting = leasing(cluster)
    await moment()
    for name, seconds in (("near", 0.001), ("far", 0.5)):
        member = cluster._registry.get(name)
        member.round_trip = RoundTrip()
        member.heard(now(), seconds)
    await asyncio.sleep(0.0625)  # past what is kept of the nodes' places
    await cluster.release(held["far"])
    await asyncio.sleep(2)
    assert waiting.done()
    await cluster.release(held["near"])
    await cluster.release(await waiting)


async def test_who_waits_for_one_node_does_not_stop_those_who_want_another(pooling: Pooling):
    cluster, _ = await pooling(("p", 0, "ok", Role.PRIMARY), ("s", 0, "ok", Role.STANDBY), max_size=1)
    writer = await cluster.acquire()
    waiting = leasing(cluster)
    await moment()
    reader = await cluster.acquire(target="standby")
    assert (cluster.node_of(writer), cluster.node_of(reader), waiting.done()) == ("p", "s", False)
    await cluster.release(reader)
    await cluster.release(writer)
    await cluster.release(await waiting)


async def test_of_those_who_want_different_things_the_first_is_served_first(pooling: Pooling):
    cluster, _ = await pooling(("p", 0, "ok", Role.PRIMARY), max_size=1)
    conn = await cluster.acquire()
    anybody, writer = leasing(cluster, target="any"), leasing(cluster)
    await moment()
    await cluster.release(conn)
    await moment()
    assert (anybody.done(), writer.done()) == (True, False)
    await cluster.release(await anybody)
    await cluster.release(await writer)


# -- handing over ----------------------------------------------------------------------------------------------------------


async def test_a_cancelled_waiter_takes_nothing_with_him(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1)
    conn = await cluster.acquire()
    first, second = leasing(cluster), leasing(cluster)
    await moment()
    first.cancel()
    await moment()
    await cluster.release(conn)
    assert await second is conn
    await cluster.release(conn)


async def test_what_was_handed_to_somebody_who_is_cancelled_goes_to_the_next(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1, reset=False)
    conn = await cluster.acquire()
    first, second = leasing(cluster), leasing(cluster)
    await moment()
    await cluster.release(conn)  # it is the first one's now, who has not run yet
    first.cancel()
    assert await second is conn
    assert first.cancelled()
    await cluster.release(conn)


async def test_what_was_handed_over_in_vain_was_not_used(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1, reset=False)
    conn = await cluster.acquire()
    first = leasing(cluster)
    await moment()
    await cluster.release(conn)
    used = cluster.stats().lease_time
    first.cancel()
    await moment()
    assert (books(cluster), cluster.stats().lease_time) == ({"a": (1, 0, 0, 0)}, used)


async def test_a_waiter_whose_time_is_over_takes_nothing_with_him(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1)
    conn = await cluster.acquire()
    with pytest.raises(AcquireTimeout):
        await cluster.acquire(timeout=0.5)
    assert (now(), cluster.stats().waiting) == (0.5, 0)
    await cluster.release(conn)
    await moment()
    assert books(cluster) == {"a": (1, 0, 0, 0)}


async def test_a_connection_that_comes_back_at_the_deadline_is_not_lost(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1, reset=False)
    conn = await cluster.acquire()
    asyncio.get_running_loop().call_at(
        0.5, lambda: cluster._engine.pool_here().release(cluster._engine.pool_here().lease_of(conn))
    )
    caller = leasing(cluster, timeout=0.5)
    await asyncio.wait([caller])
    if caller.exception() is None:
        await cluster.release(conn)
    assert books(cluster) == {"a": (1, 0, 0, 0)}


async def test_when_a_lease_comes_back_broken_another_connection_is_opened_at_once(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.01, "ok"), max_size=1)
    conn = await cluster.acquire()
    caller = leasing(cluster)
    await asyncio.sleep(1)
    began = now()
    driver.terminate(conn)
    await cluster.release(conn)
    await cluster.release(await caller)
    assert now() - began <= 0.011


# -- how long --------------------------------------------------------------------------------------------------------------


async def test_no_time_at_all_takes_what_is_at_hand(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    with pytest.raises(AcquireTimeout):
        await cluster.acquire(timeout=0)
    assert driver["a"].started == 0
    await warm(cluster, 1)
    async with cluster.acquire(timeout=0):
        with pytest.raises(AcquireTimeout):
            await cluster.acquire(timeout=0)


async def test_without_a_limit_one_waits_for_ever(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1)
    conn = await cluster.acquire()
    caller = leasing(cluster, timeout=math.inf)
    await asyncio.sleep(10_000)
    await cluster.release(conn)
    await cluster.release(await caller)


async def test_the_default_is_the_clusters(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1, acquire_timeout=2.0)
    async with cluster.acquire():
        with pytest.raises(AcquireTimeout):
            await cluster.acquire()
        assert now() == 2
        with pytest.raises(AcquireTimeout):
            await cluster.with_options(timeout=0.5).acquire()
        assert now() == 2.5


async def test_a_negative_time_is_refused(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    with pytest.raises(ValueError, match="timeout is seconds, 0 or more"):
        cluster.acquire(timeout=-1)


async def test_so_many_may_wait_and_no_more(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1, max_waiting=2)
    conn = await cluster.acquire()
    waiting = [leasing(cluster) for _ in range(2)]
    await moment()
    with pytest.raises(TooManyWaiters, match=r"2 callers wait for a connection already \(max_waiting\)"):
        await cluster.acquire()
    await cluster.release(conn)
    for caller in waiting:
        await cluster.release(await caller)


# -- what is said ----------------------------------------------------------------------------------------------------------


async def timed_out(cluster, **arguments) -> AcquireTimeout:
    with pytest.raises(AcquireTimeout) as caught:
        await cluster.acquire(**{"timeout": 0.5, **arguments})
    return caught.value


async def test_the_message_says_what_the_pool_and_each_node_are_doing(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "refused"), ("c", 0, "silent"), max_size=1)
    driver["c"].delay = None
    holder = asyncio.create_task(_hold(cluster))
    await moment()
    error = await timed_out(cluster)
    text = str(error)
    assert text.startswith(
        "cluster 'cluster': no connection within 0.5 s (target read-write); 1 waiting, 1 of 2 connections leased; "
    )
    assert "a: up, peer, 1 leased, 0 idle, 0 connecting" in text
    assert (
        "b: down, unknown, 0 leased, 0 idle, 0 connecting (ConnectionRefusedError: [Errno 111] Connect call failed (b))" in text
    )
    assert "c: up, unknown, 0 leased, 0 idle, 1 connecting" in text
    assert "this task itself" not in text
    assert isinstance(error.errors["b"], ConnectionRefusedError)
    assert isinstance(error, TimeoutError)
    holder.cancel()
    await asyncio.wait([holder])


async def _hold(cluster) -> None:
    async with cluster.acquire():
        await asyncio.sleep(math.inf)


async def test_the_message_names_the_lag_that_was_asked_for(pooling: Pooling):
    cluster, _ = await pooling(("s", 0, "ok", Role.STANDBY))
    error = await timed_out(cluster, target="standby", max_lag=2, max_lag_bytes=1000)
    assert "(target standby, max_lag 2 s, max_lag_bytes 1000)" in str(error)
    assert "how far it is behind is not known" in str(error)


async def test_the_message_says_that_a_node_is_draining(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    await cluster.drain_node("a")
    assert "a: up, unknown, draining, 0 leased" in str(await timed_out(cluster))


async def test_the_message_says_that_there_is_no_node(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    cluster.remove_node("a")
    assert str(await timed_out(cluster)).endswith("0 of 0 connections leased; no node is registered")


async def test_a_nested_acquire_is_told_so(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=2)
    async with cluster.acquire(), cluster.acquire():
        assert str(await timed_out(cluster)).endswith(
            "; this task itself holds 2 of them, from a, a (debug=True says where they were taken): "
            "do not acquire a second one while holding one"
        )


async def test_with_debug_a_nested_acquire_is_told_where(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1, debug=True)
    async with cluster.acquire():
        text = str(await timed_out(cluster))
    assert "; this task itself holds 1 of them, from " in text
    assert "test_pool_waiting.py:" in text
    assert "debug=True" not in text


async def test_somebody_elses_lease_is_no_nested_acquire(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=1)
    [conn] = await asyncio.create_task(lease(cluster, 1))
    assert "this task itself" not in str(await timed_out(cluster))
    await cluster.release(conn)
