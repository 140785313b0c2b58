"""Which logins the pool makes: for those who wait, up to the least size, within the bounds."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from aioclustersql.errors import AcquireTimeout
from aioclustersql.node import Role
from aioclustersql.testing import FakeConnection, FakeDriver

from .conftest import Pooling, Racing
from .tools import FakeCluster, books, lease, leasing, moment, now, warm


def logins(driver: FakeDriver) -> Counter[str]:
    return Counter(name for _, name in driver.starts)


async def give_back(cluster: FakeCluster, callers: list[asyncio.Task[FakeConnection]]) -> None:
    for caller in callers:
        await cluster.release(await caller)


# -- for those who wait ----------------------------------------------------------------------------------------------------


async def test_while_nothing_is_known_every_node_is_asked(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"), ("b", 0.0625, "ok"), ("c", None, "silent"))
    async with cluster.acquire() as conn:
        assert (cluster.node_of(conn), now(), logins(driver)) == ("b", 0.0625, {"a": 1, "b": 1, "c": 1})


async def test_once_they_are_known_one_login_is_enough(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"), ("b", 0.125, "ok"))
    await warm(cluster, 2)
    driver.trace.clear()
    first, second, third = await lease(cluster, 3)
    assert len(driver.starts) == 1
    for conn in (first, second, third):
        await cluster.release(conn)


async def test_two_logins_at_most_are_under_way_on_one_node(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"), ("b", 0.125, "ok"), max_size=20)
    callers = [leasing(cluster) for _ in range(20)]
    await asyncio.wait(callers)
    assert (driver["a"].max_logins_under_way, driver["b"].max_logins_under_way) == (2, 2)
    assert logins(driver) == {"a": 10, "b": 10}
    await give_back(cluster, callers)


async def test_connections_are_opened_evenly(pooling: Pooling):
    cluster, _ = await pooling(*((name, 0.01, "ok") for name in "abc"))
    conns = await lease(cluster, 12)
    assert Counter(map(cluster.node_of, conns)) == {"a": 4, "b": 4, "c": 4}
    for conn in conns:
        await cluster.release(conn)


async def test_no_login_starts_while_the_queue_empties_sooner(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"))
    await warm(cluster, 1)
    started = driver["a"].started

    async def query() -> None:
        async with cluster.acquire():
            await asyncio.sleep(0.01)

    await query()
    await asyncio.gather(*(query() for _ in range(10)))
    assert driver["a"].started == started


async def test_a_login_whose_demand_has_gone_is_not_repeated(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"), max_size=5)
    await warm(cluster, 1)
    driver.trace.clear()
    conn = await cluster.acquire()
    callers = [leasing(cluster) for _ in range(8)]
    await asyncio.sleep(0.1)
    under_way = len(driver.starts)
    for caller in callers:
        caller.cancel()
    await asyncio.sleep(1)
    assert len(driver.starts) == under_way <= 2
    await cluster.release(conn)


async def test_a_queue_behind_a_reset_is_looked_at_again(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.01, "ok"))
    await warm(cluster, 1)
    driver["a"].reset_delay = 0.001
    async with cluster.acquire():
        pass
    first, second = leasing(cluster), leasing(cluster)  # one connection, being reset; the first keeps it
    await asyncio.sleep(1)
    assert (first.done(), second.done()) == (True, True)
    await give_back(cluster, [first, second])


async def test_a_node_that_is_slow_to_log_in_is_not_asked_twice(pooling: Pooling):
    cluster, driver = await pooling(("far", 0.375, "ok"))
    await warm(cluster, 1)
    driver.trace.clear()
    conns = await lease(cluster, 2)
    assert len(driver.starts) == 1
    for conn in conns:
        await cluster.release(conn)


async def test_a_far_node_serves_when_all_near_ones_are_full(pooling: Pooling):
    cluster, _ = await pooling(("near", 0.001, "ok"), ("far", 0.001, "ok"), max_size=1)
    for name, seconds in (("near", 0.001), ("far", 0.05)):
        cluster._registry.get(name).heard(now(), seconds)
    first = await cluster.acquire()
    second = await cluster.acquire(timeout=1)
    assert (cluster.node_of(first), cluster.node_of(second)) == ("near", "far")
    for conn in (first, second):
        await cluster.release(conn)


# -- sizes -----------------------------------------------------------------------------------------------------------------


async def test_the_least_size_is_filled_evenly(pooling: Pooling):
    cluster, driver = await pooling(*((name, 0.125, "ok") for name in "abc"), min_size=3)
    await asyncio.sleep(0.3)
    assert books(cluster) == dict.fromkeys("abc", (3, 0, 0, 0))
    assert [name for _, name in driver.starts[:6]] == list("abcabc")
    assert logins(driver) == dict.fromkeys("abc", 3)


async def test_within_the_total_the_least_size_is_filled_evenly(pooling: Pooling):
    cluster, _ = await pooling(*((name, 0.125, "ok") for name in "abc"), min_size=3, max_total=6)
    await asyncio.sleep(2)
    assert books(cluster) == dict.fromkeys("abc", (2, 0, 0, 0))


async def test_a_standby_is_filled_too_without_failing_logins(pooling: Pooling):
    cluster, driver = await pooling(("p", 0.01, "ok", Role.PRIMARY), ("s", 0.01, "ok", Role.STANDBY), min_size=2)
    await asyncio.sleep(3)
    assert books(cluster) == dict.fromkeys("ps", (2, 0, 0, 0))
    assert driver["s"].started <= 4


async def test_the_least_size_is_kept_when_a_connection_is_lost(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"), min_size=2)
    await asyncio.sleep(1)
    driver.terminate(driver.open_connections[0])
    async with cluster.acquire(), cluster.acquire():
        pass
    await asyncio.sleep(1.5)
    assert books(cluster) == {"a": (2, 0, 0, 0)}


async def test_the_greatest_size_is_per_node(pooling: Pooling):
    cluster, driver = await pooling(*((name, 0, "ok") for name in "ab"), max_size=2)
    conns = await lease(cluster, 4)
    with pytest.raises(AcquireTimeout):
        await cluster.acquire(timeout=5)
    assert driver.open == 4
    for conn in conns:
        await cluster.release(conn)


async def test_the_total_bounds_all_nodes(pooling: Pooling):
    cluster, driver = await pooling(*((name, 0, "ok") for name in "abc"), max_total=2)
    conns = await lease(cluster, 2)
    with pytest.raises(AcquireTimeout):
        await cluster.acquire(timeout=5)
    assert driver.open == 2
    for conn in conns:
        await cluster.release(conn)


async def test_within_the_total_an_idle_connection_elsewhere_makes_way(pooling: Pooling):
    cluster, _ = await pooling(("p", 0, "ok", Role.PRIMARY), ("s", 0, "ok", Role.STANDBY), max_total=1)
    async with cluster.acquire(target="standby"):
        pass
    await moment()
    assert books(cluster) == {"p": (0, 0, 0, 0), "s": (1, 0, 0, 0)}
    async with cluster.acquire(target="primary", timeout=1):
        assert books(cluster) == {"p": (0, 1, 0, 0), "s": (0, 0, 0, 0)}


async def test_within_the_total_a_silent_login_makes_way(pooling: Pooling):
    cluster, _ = await pooling(("a", None, "silent"), ("b", None, "silent"), ("c", 0, "ok"), max_total=1)
    async with cluster.acquire(timeout=2) as conn:
        assert cluster.node_of(conn) == "c"
    await asyncio.sleep(5)


# -- lost races ------------------------------------------------------------------------------------------------------------


async def test_a_connection_that_lost_its_race_is_taken_over_below_the_least_size(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"), ("b", 0.0625, "ok"), min_size=1, monitor_interval=None)
    driver["a"].then(0.125, "ok")
    driver["b"].then(0, "overloaded")
    await cluster.open()  # the pool's own first logins
    await moment()
    conn = await cluster.connect()
    await asyncio.sleep(0.1)
    assert (books(cluster)["b"], driver["b"].goodbyes, driver["b"].started) == ((1, 0, 0, 0), 0, 2)
    driver.terminate(conn)


async def test_a_connection_that_lost_its_race_goes_to_who_waits_set_up(pooling: Pooling):
    async def init(conn: FakeConnection) -> None:
        await conn.execute("SET x = 1")

    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0.125, "ok"), init=init)
    driver["a"].then(0, "ok").then(None, "silent").then(None, "silent")
    conn = await cluster.connect()
    async with cluster.acquire() as lent:
        assert (cluster.node_of(lent), lent.session, now()) == ("b", {"x": "1"}, 0.125)
    driver.terminate(conn)


async def test_one_that_nobody_wants_says_goodbye(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.0625, "ok"), ("b", 0.125, "ok"))
    driver.terminate(await cluster.connect())
    await asyncio.sleep(1)
    assert (driver["b"].goodbyes, books(cluster)["b"]) == (1, (0, 0, 0, 0))


async def test_one_that_cannot_be_set_up_is_closed_and_another_is_opened(pooling: Pooling):
    failures = iter([LookupError("mine")])

    async def init(conn: FakeConnection) -> None:
        if conn.server.name == "b" and (error := next(failures, None)) is not None:
            raise error

    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0.125, "ok"), init=init, max_total=1)
    driver["a"].then(0, "ok").then(None, "silent").then(None, "silent")
    conn = await cluster.connect()
    async with cluster.acquire(timeout=3):
        pass
    driver.terminate(conn)
    await asyncio.sleep(5)
