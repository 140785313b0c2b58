"""Leases: what `acquire` gives, and what becomes of it when it comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from aioclustersql.errors import NotLeased, NotOpen, UnknownNode
from aioclustersql.testing import FakeConnection, ResetAnswer

from .conftest import Pooling
from .tools import WAYS_TO_RESET, books, lease, moment, now, warm


async def test_a_lease_is_a_native_connection_of_a_node(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.125, "ok"))
    conn = await cluster.acquire()
    assert isinstance(conn, FakeConnection)
    assert (cluster.node_of(conn), now(), books(cluster)) == ("a", 0.125, {"a": (0, 1, 0, 0)})
    await cluster.release(conn)


async def test_a_released_connection_is_leased_again(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok"))
    async with cluster.acquire() as first:
        pass
    await moment()
    async with cluster.acquire() as second:
        assert second is first
    assert driver["a"].started == 1


async def test_an_idle_connection_is_leased_without_giving_up_control(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.125, "ok"))
    await warm(cluster, 1)
    caller = cluster.acquire()
    with pytest.raises(StopIteration) as done:
        caller.send(None)
    await cluster.release(done.value.value)


async def test_the_connection_used_last_is_used_first(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    first, second = await lease(cluster, 2)
    for conn in (first, second):
        await cluster.release(conn)
        await moment()
    async with cluster.acquire() as conn:
        assert conn is second


async def test_an_exception_in_the_block_gives_the_lease_back(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    with pytest.raises(LookupError, match="mine"):
        async with cluster.acquire():
            raise LookupError("mine")
    await moment()
    assert books(cluster) == {"a": (1, 0, 0, 0)}


async def test_acquire_runs_as_a_task(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.125, "ok"))
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(cluster.acquire()) for _ in range(3)]
    for caller in callers:
        await cluster.release(caller.result())


async def test_an_acquire_is_used_once(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    acquiring = cluster.acquire()
    assert repr(acquiring) == "<acquire, not awaited>"
    conn = await acquiring
    with pytest.raises(RuntimeError, match=r"this acquire was used already; call acquire\(\) again"):
        await acquiring
    await cluster.release(conn)


async def test_acquire_needs_an_open_cluster(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    await cluster.close()
    with pytest.raises(NotOpen, match=r"cluster 'cluster' is not open: enter it \(async with cluster\)"):
        await cluster.acquire()


# -- given back by whom it does not belong to -----------------------------------------------------------------------------


async def test_a_second_release_is_refused_by_name(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    conn = await cluster.acquire()
    await cluster.release(conn)
    with pytest.raises(NotLeased, match=r"^this connection of node 'a' was returned already$"):
        await cluster.release(conn)
    await moment()
    with pytest.raises(NotLeased):
        await cluster.release(conn)


async def test_with_debug_a_second_release_says_where_the_first_was(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), debug=True)
    conn = await cluster.acquire()
    await cluster.release(conn)
    with pytest.raises(NotLeased, match=r"was returned already, at .*test_pool_leases.py:\d+$"):
        await cluster.release(conn)


async def test_a_strangers_connection_is_refused_by_name(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    stranger = await driver.connect(driver.parse("fake://a/", {}), None)
    with pytest.raises(UnknownNode, match="this FakeConnection was not acquired from cluster 'cluster'"):
        await cluster.release(stranger)
    driver.terminate(stranger)


async def test_what_connect_handed_out_is_not_the_pools(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    conn = await cluster.connect()
    with pytest.raises(UnknownNode):
        await cluster.release(conn)


async def test_released_by_hand_inside_its_block_is_released_once(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    async with cluster.acquire() as conn:
        await cluster.release(conn)
    await moment()
    assert books(cluster) == {"a": (1, 0, 0, 0)}


async def test_released_by_hand_inside_its_block_it_is_the_next_ones(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    async with cluster.acquire() as conn:
        await cluster.release(conn)
        await moment()
        assert await cluster.acquire() is conn
    assert books(cluster) == {"a": (0, 1, 0, 0)}
    await cluster.release(conn)


# -- as new ----------------------------------------------------------------------------------------------------------------


@WAYS_TO_RESET
async def test_the_next_user_sees_nothing_of_the_last(pooling: Pooling, answer: ResetAnswer):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_answer = answer
    async with cluster.acquire() as conn:
        await conn.execute("SET search_path = other")
        assert conn.session == {"search_path": "other"}
    await moment()
    async with cluster.acquire() as again:
        assert (again is conn, again.session, driver["a"].resets) == (True, {}, 1)


@WAYS_TO_RESET
async def test_what_init_has_set_survives_the_reset(pooling: Pooling, answer: ResetAnswer):
    async def init(conn: FakeConnection) -> None:
        await conn.execute("SET time_zone = UTC")

    cluster, driver = await pooling(("a", 0, "ok"), init=init)
    driver["a"].reset_answer = answer
    async with cluster.acquire() as conn:
        await conn.execute("SET time_zone = CET")
    await moment()
    async with cluster.acquire() as again:
        assert (again is conn, again.session) == (True, {"time_zone": "UTC"})


async def test_init_is_awaited_once_per_connection(pooling: Pooling):
    seen: list[FakeConnection] = []

    async def init(conn: FakeConnection) -> None:
        seen.append(conn)

    cluster, _ = await pooling(("a", 0, "ok"), init=init)
    for _ in range(3):
        async with cluster.acquire() as conn:
            pass
        await moment()
    assert seen == [conn]


@WAYS_TO_RESET
async def test_the_users_reset_comes_after_our_own(pooling: Pooling, answer: ResetAnswer):
    seen: list[dict[str, str]] = []

    async def reset(conn: FakeConnection) -> None:
        seen.append(dict(conn.session))
        await conn.execute("SET mine = 1")

    cluster, driver = await pooling(("a", 0, "ok"), reset=reset)
    driver["a"].reset_answer = answer
    async with cluster.acquire() as conn:
        await conn.execute("SET x = 1")
    await moment()
    assert (seen, conn.session) == ([{}], {"mine": "1"})


@WAYS_TO_RESET
async def test_a_connection_that_the_users_reset_fails_on_is_closed(pooling: Pooling, answer: ResetAnswer):
    async def reset(conn: FakeConnection) -> None:
        raise LookupError("mine")

    cluster, driver = await pooling(("a", 0, "ok"), reset=reset)
    driver["a"].reset_answer = answer
    async with cluster.acquire():
        pass
    await moment()
    assert (books(cluster), driver.open, driver["a"].goodbyes) == ({"a": (0, 0, 0, 0)}, 0, 1)


@WAYS_TO_RESET
async def test_a_connection_that_cannot_be_reset_is_closed(pooling: Pooling, answer: ResetAnswer):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_answer = answer
    async with cluster.acquire() as conn:
        driver["a"].reset_delay = 1.0
    await asyncio.sleep(0.5)
    driver["a"].end(conn.id, "lost")
    await moment()
    assert books(cluster) == {"a": (0, 0, 0, 0)}


@WAYS_TO_RESET
async def test_a_reset_without_an_answer_is_cut_off(pooling: Pooling, answer: ResetAnswer):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_answer = answer
    async with cluster.acquire():
        driver["a"].freeze()
    await asyncio.sleep(4.5)
    assert books(cluster) == {"a": (0, 0, 1, 0)}
    await asyncio.sleep(2.5)
    assert (books(cluster), driver.open) == ({"a": (0, 0, 0, 0)}, 0)


@WAYS_TO_RESET
async def test_nobody_waits_for_the_reset_of_what_he_returns(pooling: Pooling, answer: ResetAnswer):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_delay, driver["a"].reset_answer = 1.0, answer
    async with cluster.acquire():
        pass
    assert (now(), books(cluster)) == (0, {"a": (0, 0, 1, 0)})


@WAYS_TO_RESET
async def test_a_reset_tells_how_long_a_round_trip_takes(pooling: Pooling, answer: ResetAnswer):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_delay, driver["a"].reset_answer = 0.125, answer
    async with cluster.acquire():
        pass
    await asyncio.sleep(1)
    assert cluster.stats().nodes["a"].round_trip == 0.125


@WAYS_TO_RESET
@pytest.mark.parametrize(("apart", "round_trip"), [(0.0, 0.15), (0.25, 0.5)], ids=["at once", "one after another"])
async def test_resets_that_end_together_count_as_one_round_trip(
    pooling: Pooling, answer: ResetAnswer, apart: float, round_trip: float
):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_delay, driver["a"].reset_answer = 0.125, answer
    first, *others = await lease(cluster, 4)
    await cluster.release(first)
    await asyncio.sleep(1)
    driver["a"].reset_delay = 0.5
    for conn in others:
        await cluster.release(conn)
        await asyncio.sleep(apart)
    await asyncio.sleep(1)
    assert cluster.stats().nodes["a"].round_trip == pytest.approx(round_trip)


async def test_a_reset_with_the_usual_answer_takes_no_task(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_delay = 1.0
    ways: tuple[tuple[ResetAnswer, int], ...] = (("read", 1), ("usual", 0))
    for driver["a"].reset_answer, tasks in ways:
        async with cluster.acquire():
            pass
        await moment()
        assert sum(task.get_name().endswith(":reset") for task in asyncio.all_tasks()) == tasks
        await asyncio.sleep(2)
    assert (driver["a"].resets, books(cluster)) == (2, {"a": (1, 0, 0, 0)})


async def test_what_comes_back_in_one_turn_of_the_loop_is_reset_at_its_end(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_answer = "usual"
    for before in (0, 3):
        for conn in await lease(cluster, 3):
            await cluster.release(conn)
        assert (driver["a"].resets, books(cluster)) == (before, {"a": (0, 0, 3, 0)})
        await asyncio.sleep(0)
        assert driver["a"].resets == before + 3
        await moment()
        assert books(cluster) == {"a": (3, 0, 0, 0)}


async def test_a_reset_that_cannot_begin_hinders_no_other(pooling: Pooling, monkeypatch: pytest.MonkeyPatch):
    cluster, driver = await pooling(("a", 0, "ok"))
    driver["a"].reset_answer = "usual"
    first, *others = await lease(cluster, 3)
    begin = driver.begin_reset

    def begin_reset(conn: FakeConnection, baseline: object, answered: Callable[[bool], None]) -> bool:
        if conn is first:
            raise RuntimeError("the driver is broken")
        return begin(conn, baseline, answered)

    monkeypatch.setattr(driver, "begin_reset", begin_reset)
    for conn in (first, *others):
        await cluster.release(conn)
    await moment()
    assert (books(cluster), first.closed) == ({"a": (2, 0, 0, 0)}, True)


async def test_without_reset_nothing_is_reset(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), reset=False)
    async with cluster.acquire() as conn:
        await conn.execute("SET x = 1")
    async with cluster.acquire() as again:
        assert (again is conn, again.session, driver["a"].resets) == (True, {"x": "1"}, 0)


@pytest.mark.parametrize("reset", [None, False])
async def test_what_comes_back_in_a_transaction_is_rolled_back_with_a_warning(
    pooling: Pooling, caplog: pytest.LogCaptureFixture, reset: bool | None
):
    cluster, _ = await pooling(("a", 0, "ok"), reset=reset)
    async with cluster.acquire() as conn:
        await conn.execute("BEGIN")
    await moment()
    assert not conn.in_transaction
    assert caplog.messages == ["cluster cluster: a connection on node a was returned in a transaction, which is rolled back"]


async def test_with_debug_the_warning_says_where_it_was_taken(pooling: Pooling, caplog: pytest.LogCaptureFixture):
    cluster, _ = await pooling(("a", 0, "ok"), debug=True)
    async with cluster.acquire() as conn:
        await conn.execute("BEGIN")
    assert "; it was taken at " in caplog.messages[0]
    assert "test_pool_leases.py:" in caplog.messages[0]


async def test_what_comes_back_closed_is_not_kept(pooling: Pooling, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    cluster, driver = await pooling(("a", 0, "ok"))
    async with cluster.acquire() as conn:
        driver.terminate(conn)
    assert (books(cluster), caplog.messages) == ({"a": (0, 0, 0, 0)}, [])


async def test_the_error_of_another_socket_says_nothing_of_the_lease(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"))
    with pytest.raises(ConnectionResetError) as raised:
        async with cluster.acquire() as conn:
            raise ConnectionResetError(104, "a cache is gone")
    assert getattr(raised.value, "__notes__", []) == []
    await moment()
    async with cluster.acquire() as again:
        assert again is conn
    assert cluster.stats().nodes["a"].errors == 0
