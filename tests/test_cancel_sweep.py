"""The cancel sweep finds what it is there to find."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from aioclustersql.testing import FakeConnection, FakeDriver, scenario
from tests.cancel_sweep import Scenario, sweep

Caller = Callable[[FakeDriver], Coroutine[Any, Any, object]]


def making(caller: Caller, *, swallow_cancel: bool = False) -> Callable[[], Awaitable[Scenario]]:
    async def make() -> Scenario:
        driver, _ = scenario(("n1", 0.25, "ok"), ("n2", 0.5, "ok"), swallow_cancel=swallow_cancel)
        return Scenario(lambda: caller(driver), driver)

    return make


async def log_in(driver: FakeDriver, name: str = "n1") -> FakeConnection:
    return await driver.connect(driver.parse(f"fake://{name}/", {}), None)


async def careful(driver: FakeDriver) -> str:
    conn = await log_in(driver)
    try:
        await conn.execute("SELECT 1")
        await asyncio.sleep(1)
    finally:
        driver.terminate(conn)
    return "done"


async def two_at_once(driver: FakeDriver) -> FakeConnection:
    """A tiny race without an owner: correct only while nobody cancels."""
    tasks = {asyncio.create_task(log_in(driver, name), name=name) for name in ("n1", "n2")}
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for loser in tasks - done:
        loser.cancel()
        await asyncio.wait({loser})
    return done.pop().result()


def test_a_careful_caller_passes_at_every_step():
    assert sweep(making(careful)) >= 5


def test_a_second_cancel_passes_too():
    assert sweep(making(careful), cancels=2) >= 5


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_are_swept():
    assert sweep(making(careful), eager=True) >= 5


def test_a_result_is_the_callers_own():
    assert sweep(making(log_in)) >= 3


def test_a_leaked_connection_is_found():
    async def leaky(driver: FakeDriver) -> None:
        conn = await log_in(driver)
        await asyncio.sleep(1)
        driver.terminate(conn)

    with pytest.raises(AssertionError, match=r"cancelled before step \d+ of \d+: <FakeConnection 1 n1 open> is open") as caught:
        sweep(making(leaky))
    assert "undisturbed" not in str(caught.value)


def test_a_leak_is_found_when_the_result_and_the_cancel_meet():
    async def leaky_at_one_step(driver: FakeDriver) -> None:
        login = asyncio.create_task(log_in(driver))
        try:
            conn = await login
        except asyncio.CancelledError:
            login.cancel()  # and whoever looks at what it returned?
            raise
        driver.terminate(conn)

    with pytest.raises(AssertionError, match=r"^1 failures:\n.*<FakeConnection 1 n1 open> is open$"):
        sweep(making(leaky_at_one_step))


def test_an_abandoned_task_is_found():
    with pytest.raises(AssertionError, match="left behind: <Task pending name='n2'"):
        sweep(making(two_at_once))


def test_a_swallowed_cancel_is_found():
    async def deaf(driver: FakeDriver) -> str:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return "what cancel?"
        return "done"

    with pytest.raises(AssertionError, match=r"the cancel was swallowed; the result was 'what cancel\?'"):
        sweep(making(deaf))


def test_a_driver_that_swallows_the_cancel_is_found():
    with pytest.raises(AssertionError, match="the cancel was swallowed; the result was <FakeConnection 1 n1 open>"):
        sweep(making(log_in, swallow_cancel=True))


def test_another_exception_in_place_of_the_cancel_is_found():
    async def rude(driver: FakeDriver) -> None:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            raise LookupError("mine") from None

    with pytest.raises(AssertionError, match=r"instead of the cancel raised LookupError\('mine'\)"):
        sweep(making(rude))


def test_an_exception_that_nobody_looks_at_is_found():
    async def careless(driver: FakeDriver) -> None:
        login = asyncio.create_task(log_in(driver, "nowhere"))
        await asyncio.sleep(1)
        await asyncio.gather(login, return_exceptions=True)

    with pytest.raises(AssertionError, match="Task exception was never retrieved: gaierror"):
        sweep(making(careless))


def test_an_armed_timer_is_found():
    async def forgetful(driver: FakeDriver) -> None:
        asyncio.get_running_loop().call_later(60, print)

    with pytest.raises(AssertionError, match="undisturbed: left armed: <TimerHandle"):
        sweep(making(forgetful))
