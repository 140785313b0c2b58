"""What nodes that fail cost the pool, and what users are told of them."""

from __future__ import annotations

import asyncio

import pytest

from aioclustersql import AllNodesFailed
from aioclustersql.errors import AcquireTimeout
from aioclustersql.failure import FailureKind
from aioclustersql.node import Health, Role
from aioclustersql.policy import backoff
from aioclustersql.testing import FakeConnection, FakeError
from aioclustersql.testing.server import Outcome

from .conftest import Pooling, Racing
from .tools import books, lease, leasing, moment, now, warm

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


# -- nodes that fail -------------------------------------------------------------------------------------------------------


async def test_a_silent_node_costs_the_failover_delay(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.01, "ok"), ("b", 0.01, "ok"))
    await warm(cluster, 2)
    cluster.expire()
    await asyncio.sleep(0.5)
    driver["a"].freeze()
    for _ in range(2):  # one of them begins on the silent node
        began = now()
        conn = await cluster.acquire()
        assert cluster.node_of(conn) == "b"
        assert now() - began <= 0.2601
        await cluster.release(conn)
        cluster.expire()
    driver["a"].thaw()
    await asyncio.sleep(5)


async def test_a_cold_start_with_silent_nodes_does_not_wait_for_them(pooling: Pooling):
    cluster, _ = await pooling(("a", None, "silent"), ("b", None, "silent"), ("c", 0.0625, "ok"))
    async with cluster.acquire() as conn:
        assert (cluster.node_of(conn), now()) == ("c", 0.0625)


@pytest.mark.parametrize("outcome", ["reset", "refused", "not-ready"])
@pytest.mark.parametrize("seed", range(5))
async def test_nobody_waits_for_a_near_node_whose_login_failed_while_a_far_one_lets_him_in(
    racing: Racing, outcome: Outcome, seed: int
):
    cluster, driver = racing(("near", 0.0625, "ok"), ("far", 0.0625, "ok"), seed=seed, monitor_interval=None)
    async with cluster:
        for name, seconds in (("near", 0.001), ("far", 0.05)):
            cluster._registry.get(name).heard(now(), seconds)
        driver["near"].outcome = outcome
        async with cluster.acquire() as conn:
            assert (cluster.node_of(conn), now()) == ("far", 0.125)


@pytest.mark.parametrize("seed", range(5))
async def test_the_primary_serves_a_reader_at_once_when_the_standby_hangs_up_on_logins(racing: Racing, seed: int):
    cluster, driver = racing(("p", 0.0625, "ok"), ("s", 0.0625, "ok"), seed=seed, monitor_interval=None)
    driver["p"].role, driver["s"].role = Role.PRIMARY, Role.STANDBY
    async with cluster:
        for name in cluster.nodes:  # learn who is what
            async with cluster.acquire(target="primary" if name == "p" else "standby"):
                pass
        cluster.expire("s")
        driver["s"].outcome = "reset"
        await asyncio.sleep(1)
        began = now()
        async with cluster.acquire(target="prefer-standby") as conn:
            assert (cluster.node_of(conn), now() - began) == ("p", 0.0625)


@pytest.mark.parametrize("seed", range(5))
async def test_a_standby_that_let_no_writer_in_serves_a_reader_all_the_same(racing: Racing, seed: int):
    cluster, driver = racing(("p", 0.0625, "ok"), ("s", 0.0625, "ok"), seed=seed, monitor_interval=None)
    driver["p"].role, driver["s"].role = Role.PRIMARY, Role.STANDBY
    async with cluster:
        async with cluster.acquire() as conn:  # cold: asks both
            assert cluster.node_of(conn) == "p"
        async with cluster.acquire(target="prefer-standby") as conn:
            assert cluster.node_of(conn) == "s"


async def test_a_node_that_refuses_is_not_hammered(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "refused"))
    with pytest.raises(AcquireTimeout):
        await cluster.acquire(timeout=30)
    assert 15 <= driver["a"].started <= 200


async def test_many_who_wait_for_a_node_that_refuses_hammer_it_no_more(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "refused"))
    callers = [leasing(cluster, timeout=30) for _ in range(50)]
    await asyncio.wait(callers)
    assert all(isinstance(caller.exception(), AcquireTimeout) for caller in callers)
    assert 15 <= driver["a"].started <= 400


async def test_a_silent_node_is_not_hammered_when_logins_are_given_up_soon(pooling: Pooling):
    cluster, driver = await pooling(("a", None, "silent"), connect_timeout=0.125)
    with pytest.raises(AcquireTimeout):
        await cluster.acquire(timeout=30)
    assert driver["a"].max_logins_under_way <= 6
    assert driver["a"].started <= 120


async def test_a_node_that_failed_serves_soon_after_it_came_back(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "refused"))
    caller = leasing(cluster)
    await asyncio.sleep(10)
    driver["a"].outcome = "ok"
    began = now()
    await cluster.release(await caller)
    assert now() - began <= 1


@pytest.mark.parametrize("seed", range(20))
async def test_what_failed_before_a_node_came_back_makes_nobody_wait_after_that(racing: Racing, seed: int):
    cluster, driver = racing(("a", 0, "refused"), seed=seed)
    async with cluster:
        caller = leasing(cluster)
        await asyncio.sleep(10)
        driver["a"].outcome = "ok"
        driver["a"].then(0, "ok").then(0, "reset")  # the monitor's login, and the pool's
        began = now()
        await cluster.release(await caller)
    assert now() - began <= 0.25 + backoff.FIRST


async def test_without_a_monitor_a_node_that_was_down_is_used_again(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "ok"), min_size=2)
    await asyncio.sleep(1)
    driver["a"].kill()
    conns = await lease(cluster, 6)
    assert {cluster.node_of(conn) for conn in conns} == {"b"}
    assert cluster.stats().nodes["a"].health is Health.DOWN
    for conn in conns:
        await cluster.release(conn)
    driver["a"].restart()
    await asyncio.sleep(7)
    assert cluster.stats().nodes["a"].health is Health.UP
    assert books(cluster)["a"][0] >= 2


async def test_a_wrong_password_everywhere_is_raised_at_once(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.0625, "wrong-password"), ("b", 0.125, "wrong-password"))
    with pytest.raises(AllNodesFailed, match=r"every node failed \(target read-write\): a: .*wrong password; b: ") as caught:
        await cluster.acquire()
    assert (now(), sorted(caught.value.errors)) == (0.125, ["a", "b"])
    assert isinstance(caught.value.__cause__, ExceptionGroup)


async def test_a_wrong_password_on_one_node_is_no_reason_to_give_up(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.0625, "wrong-password"), ("b", 0.125, "refused"))
    caller = leasing(cluster)
    await asyncio.sleep(5)
    assert not caller.done()
    driver["b"].outcome = "ok"
    await cluster.release(await caller)


async def test_a_database_that_came_to_exist_is_found_by_the_next_caller(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "wrong-password"))
    with pytest.raises(AllNodesFailed):
        await cluster.acquire()
    driver["a"].outcome = "ok"
    await cluster.release(await cluster.acquire())


async def test_a_full_node_is_left_to_the_others(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "overloaded"), ("b", 0, "ok"))
    conns = await lease(cluster, 5)
    assert {cluster.node_of(conn) for conn in conns} == {"b"}
    assert driver["a"].started <= 2
    for conn in conns:
        await cluster.release(conn)


@pytest.mark.parametrize("seed", range(10))
async def test_a_failure_of_long_ago_lengthens_no_pause(racing: Racing, seed: int):
    cluster, driver = racing(("a", 0, "overloaded"), seed=seed, monitor_interval=None)
    async with cluster:
        with pytest.raises(AcquireTimeout):
            await cluster.acquire(timeout=0.001)
        await asyncio.sleep(100)
        before = len(driver.starts)
        with pytest.raises(AcquireTimeout):
            await cluster.acquire(timeout=backoff.FIRST + 0.001)
        assert len(driver.starts) - before >= 2


async def test_a_failing_init_is_not_hidden(pooling: Pooling):
    async def init(conn: FakeConnection) -> None:
        raise FakeError(FailureKind.OTHER, "no such type")

    cluster, driver = await pooling(("a", 0, "ok"), init=init)
    with pytest.raises(AcquireTimeout, match="no such type"):
        await cluster.acquire(timeout=2)
    assert driver["a"].started < 60
