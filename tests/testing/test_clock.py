"""The virtual-time loop: exact times, no waiting, and a deadlock that says who waits where."""

from __future__ import annotations

import asyncio
import gc
import math
import time
import warnings
from typing import Any

import anyio
import pytest

from aioclustersql.testing import Deadlock, VirtualLoop, run_virtual


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.every_loop
async def test_long_sleeps_take_no_real_time_and_are_exact():
    began = time.perf_counter()
    for _ in range(1000):
        await asyncio.sleep(1000)
    assert now() == 1_000_000.0
    assert time.perf_counter() - began < 5


@pytest.mark.every_loop
async def test_sums_of_tenths_do_not_drift():
    for _ in range(10_000):
        await asyncio.sleep(0.1)
    assert now() == 1000.0


async def test_timers_of_several_tasks_fire_in_order_and_on_time():
    seen: list[tuple[float, str]] = []

    async def sleeper(name: str, delay: float) -> None:
        await asyncio.sleep(delay)
        seen.append((now(), name))

    async with asyncio.TaskGroup() as group:
        for name, delay in (("b", 0.5), ("c", 0.75), ("a", 0.25), ("z", 0)):
            group.create_task(sleeper(name, delay))
    assert seen == [(0.0, "z"), (0.25, "a"), (0.5, "b"), (0.75, "c")]


async def test_deadlines_of_asyncio_and_anyio_fire_exactly():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.25):
            await asyncio.Event().wait()
    assert now() == 0.25
    with anyio.move_on_after(0.5):
        await anyio.sleep_forever()
    assert now() == 0.75


async def test_timers_fire_where_a_float_is_coarser_than_a_nanosecond():
    await asyncio.sleep(1e9)
    await asyncio.sleep(1e-9)
    await asyncio.sleep(0.25)
    assert now() == 1e9 + 0.25


async def test_the_armed_timers_can_be_listed():
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    late, early = loop.call_later(2, print), loop.call_later(1, print)
    loop.call_later(3, print).cancel()
    assert loop.timers == (early, late)
    assert "running at 0 s" in repr(loop)
    assert "timers=2" in repr(loop)
    late.cancel()
    early.cancel()


def test_a_deadlock_names_the_pending_tasks_and_where_they_wait():
    async def inner() -> None:
        await asyncio.Event().wait()

    async def outer() -> None:
        await inner()

    async def main() -> None:
        task = asyncio.create_task(outer(), name="the waiter")
        await asyncio.sleep(1.5)
        await task

    with pytest.raises(Deadlock) as caught:
        run_virtual(main())
    first, *tasks = str(caught.value).splitlines()
    assert first == "deadlock at 1.5 s: nothing is ready and no timer is armed. Pending tasks:"
    [waiting] = [line for line in tasks if line.startswith("  the waiter: ")]
    assert [step.split()[0].split(".")[-1] for step in waiting.removeprefix("  the waiter: ").split(" > ")] == [
        "outer",
        "inner",
        "wait",
    ]
    [main_line] = [line for line in tasks if line != waiting]
    assert "test_clock.py" in main_line
    assert main_line.endswith("> task the waiter")


def test_waiting_until_infinity_is_a_deadlock():
    with pytest.raises(Deadlock, match="sleep"):
        run_virtual(asyncio.sleep(math.inf))


def test_a_timer_that_rearms_itself_for_ever_is_no_endless_test(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(VirtualLoop, "max_jumps", 100)

    async def ticker() -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(Deadlock, match=r"no end after 100 timers, at 100 s(.|\n)*ticker"):
        run_virtual(ticker())


def test_run_virtual_returns_the_result_and_passes_the_exception_on():
    async def main(fail: bool) -> float:
        await asyncio.sleep(1)
        if fail:
            raise LookupError("as it is")
        return now()

    assert run_virtual(main(fail=False)) == 1.0
    with pytest.raises(LookupError, match="as it is"):
        run_virtual(main(fail=True))


def test_nothing_is_left_open_even_after_a_deadlock():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(Deadlock):
            run_virtual(asyncio.Event().wait())
        gc.collect()
    assert [str(each.message) for each in caught] == []


def test_every_callback_is_a_step_and_can_be_preceded():
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        before: list[int] = []
        loop.before_step = lambda: before.append(loop.steps)
        began = loop.steps
        for _ in range(3):
            await asyncio.sleep(0)
        loop.before_step = None
        return [step - began for step in before]

    assert run_virtual(main()) == [0, 1, 2]


async def test_sockets_work_within_the_process():
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(5))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello")
    # Loopback needs no clock, but a timer keeps the loop from calling it a deadlock.
    async with asyncio.timeout(60):
        assert await reader.read() == b"hello"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


@pytest.mark.real_time
@pytest.mark.every_loop
async def test_marked_tests_run_on_the_real_loops(request: pytest.FixtureRequest, no_leaked_sockets: None):
    loop: Any = asyncio.get_running_loop()
    assert not isinstance(loop, VirtualLoop)
    assert ("uvloop" in type(loop).__module__) == ("uvloop" in request.node.name)
