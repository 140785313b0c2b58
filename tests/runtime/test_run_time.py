"""`run`: pauses, deadlines and cancels, to the exact moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from aioclustersql.errors import AcquireTimeout
from aioclustersql.failure import FailureKind as F
from aioclustersql.testing import FakeConnection, FakeError
from tests.cancel_sweep import Scenario, sweep

from .leases import Stand, fails, stand
from .test_run import write
from .tools import now


async def hang(conn: FakeConnection) -> None:
    """A unit that never ends by itself."""
    await conn.execute("INSERT")
    await asyncio.sleep(1000)


async def test_pauses_double(two: Stand):
    moments: list[float] = []

    async def unit(conn: FakeConnection) -> None:
        moments.append(now())
        await write(conn)

    two["n1"].on_execute = fails("INSERT", *[F.ROLLED_BACK] * 4)
    await two.run(unit)
    assert moments == [0.0, 0.025, 0.075, 0.175, 0.375]


async def test_the_first_fault_of_a_node_costs_no_pause_the_second_does(two: Stand):
    for server in two.driver:
        server.on_execute = fails("INSERT", F.SESSION_LOST)
    assert await two.run(write) == "n1"
    assert two.pool.handed_out == ["n1", "n2", "n1"]
    assert now() == 0.05


async def test_begins_are_tried_until_the_deadline_with_pauses_of_a_tenth_of_a_second(two: Stand):
    for server in two.driver:
        server.on_execute = fails("BEGIN", *[F.NOT_READY] * 99)
    with pytest.raises(FakeError, match="not-ready") as caught:
        await two.run(write, timeout=1.0, attempts=1)
    assert now() == 0.95
    assert len(two.pool.handed_out) == 12
    assert caught.value.__notes__[1].endswith("the time-out leaves no time for another attempt")


async def test_no_retry_is_begun_that_the_deadline_forbids(two: Stand):
    two["n1"].on_execute = fails("INSERT", *[F.ROLLED_BACK] * 4)
    with pytest.raises(FakeError, match="rolled-back") as caught:
        await two.run(write, timeout=0.0625)
    assert now() == 0.025
    assert "the time-out leaves no time for a further run" in caught.value.__notes__[1]


async def test_the_deadline_ends_a_unit_that_hangs(two: Stand):
    with pytest.raises(AcquireTimeout, match="the time-out of 2 s passed while the unit was at work on node n1") as caught:
        await two.run(hang, timeout=2.0)
    assert now() == 2.0
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert two["n1"].statements == ["BEGIN", "INSERT", "ROLLBACK"]


async def test_the_deadline_waits_a_tenth_of_a_second_for_the_rollback_of_a_frozen_node(two: Stand):
    two["n1"].on_execute = lambda conn, sent, args: conn.server.freeze() if sent == "INSERT" else None
    with pytest.raises(AcquireTimeout):
        await two.run(hang, timeout=2.0)
    assert now() == 2.1
    assert two.driver.open == 0


async def test_the_deadline_covers_all_runs(two: Stand):
    two["n1"].on_execute = fails("INSERT", F.ROLLED_BACK)
    with pytest.raises(AcquireTimeout) as caught:
        await two.run(hang, timeout=2.0)
    assert now() == 2.0
    assert set(caught.value.errors) == {"n1"}
    assert caught.value.__notes__[-1].endswith("run 1 on node n1, in the unit: FakeError: rolled-back")


async def test_the_deadline_ends_a_begin_that_hangs(two: Stand):
    conn = await two.pool.acquire(None, 0.0, interrupt=True)  # type: ignore[arg-type]
    two.pool.release(conn)
    two.driver["n1"].freeze()
    with pytest.raises(AcquireTimeout, match="while node n1 was asked to BEGIN"):
        await two.run(write, timeout=2.0)
    assert now() == 2.0


async def test_a_unit_that_takes_no_notice_of_the_deadline_is_not_committed(two: Stand):
    async def deaf(conn: FakeConnection) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await hang(conn)
        return "done"

    with pytest.raises(AcquireTimeout):
        await two.run(deaf, timeout=2.0)
    assert "COMMIT" not in two["n1"].statements


async def test_a_time_limit_inside_the_unit_is_the_units_own(two: Stand):
    async def unit(conn: FakeConnection) -> None:
        async with asyncio.timeout(0.5):
            await hang(conn)

    with pytest.raises(TimeoutError) as caught:
        await two.run(unit, timeout=2.0)
    assert not isinstance(caught.value, AcquireTimeout)
    assert now() == 0.5
    assert two.pool.handed_out == ["n1"]


@pytest.mark.parametrize("limit", [asyncio.timeout, anyio.fail_after])
async def test_a_time_limit_around_the_call_is_the_callers_own(two: Stand, limit: Callable[[float], Any]):
    with pytest.raises(TimeoutError) as caught:
        scope = limit(0.5)
        if hasattr(scope, "__aenter__"):
            async with scope:
                await two.run(hang, timeout=2.0)
        else:
            with scope:
                await two.run(hang, timeout=2.0)
    assert not isinstance(caught.value, AcquireTimeout)
    assert now() == 0.5
    assert two["n1"].statements == ["BEGIN", "INSERT", "ROLLBACK"]


async def test_a_cancelled_unit_is_rolled_back_and_not_run_again(two: Stand):
    task = asyncio.create_task(two.run(hang))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert two.statements() == {"n1": ["BEGIN", "INSERT", "ROLLBACK"]}


async def test_a_cancelled_unit_on_a_frozen_node_is_closed_after_a_second(two: Stand):
    task = asyncio.create_task(two.run(hang))
    await asyncio.sleep(1)
    two.driver["n1"].freeze()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert now() == 2.0
    assert two.driver.open == 0


async def test_a_cancel_that_the_unit_turns_into_a_failure_is_still_a_cancel(two: Stand):
    async def unit(conn: FakeConnection) -> None:
        try:
            await hang(conn)
        finally:
            raise FakeError(F.SESSION_LOST, "closed by the cancel")

    task = asyncio.create_task(two.run(unit))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert two.pool.handed_out == ["n1"]


async def test_a_cancel_that_the_unit_swallows_commits_nothing(two: Stand):
    async def unit(conn: FakeConnection) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await hang(conn)

    task = asyncio.create_task(two.run(unit))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert two["n1"].statements == ["BEGIN", "INSERT", "ROLLBACK"]


async def test_a_cancel_in_a_pause_is_a_cancel(two: Stand):
    two["n1"].on_execute = fails("INSERT", F.ROLLED_BACK)
    task = asyncio.create_task(two.run(write))
    await asyncio.sleep(0.0125)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert two.pool.out == set()


def making(prepare: Callable[[Stand], object], unit: Callable[..., Awaitable[Any]], **how: Any) -> Any:
    async def make() -> Scenario:
        made = stand("n1", "n2")
        for server in made.driver:
            server.delay = server.query_delay = 0.0
        prepare(made)
        return Scenario(lambda: made.run(unit, **how), made.driver, made.pool.close)

    return make


def undisturbed(made: Stand) -> None:
    """All goes well."""


def conflict(made: Stand) -> None:
    """The first COMMIT is refused."""
    made["n1"].on_execute = fails("COMMIT", F.ROLLED_BACK)


def stale(made: Stand) -> None:
    """The first plan is stale."""
    made["n1"].on_execute = fails("INSERT", F.STALE_PLAN)


def loss(made: Stand) -> None:
    """The first node dies in mid-unit."""
    made["n1"].on_execute = fails("INSERT", F.SESSION_LOST, then=lambda conn: conn.server.kill())


@pytest.mark.parametrize("cancels", [1, 3])
@pytest.mark.parametrize("prepare", [undisturbed, conflict, stale, loss])
def test_cancelled_anywhere_a_run_leaves_nothing(prepare: Callable[[Stand], object], cancels: int):
    assert sweep(making(prepare, write, timeout=5.0), cancels=cancels) > 4
