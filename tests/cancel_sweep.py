"""The cancel sweep: a scenario is run again and again, its caller cancelled before another step each time.

A step is one callback of the loop, so the cancel meets every state in which a caller can be. Rule: whatever the step, the
cancel comes out, and after the settling nothing is left: no connection, login, task, timer, unseen exception or warning.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aioclustersql.testing import FakeConnection, FakeDriver, VirtualLoop

__all__ = ["Scenario", "sweep"]


async def _nothing() -> None:
    """Nothing to settle."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run: `caller()` is what is cancelled; `settle()` is awaited afterwards, undisturbed (`cluster.close`, say).

    A `FakeConnection` that the caller returns is the caller's own: the sweep terminates it before it settles.
    """

    caller: Callable[[], Coroutine[Any, Any, object]]
    driver: FakeDriver
    settle: Callable[[], Awaitable[object]] = field(default=_nothing)


def sweep(make: Callable[[], Awaitable[Scenario]], *, cancels: int = 1, eager: bool = False, max_steps: int = 10_000) -> int:
    """Run the scenario undisturbed, then cancel its caller before step k, for every k. Returns the number of steps.

    `make` is awaited in a new `VirtualLoop` for each run and is not disturbed itself. `cancels` > 1 goes on cancelling before
    the steps that follow; `eager` makes the tasks that the scenario starts eager ones (Python 3.12). Raises one
    `AssertionError` that lists every step that went wrong, and how.
    """
    gc.collect()
    gc.freeze()  # each run collects its own garbage only
    steps, wrong = _run(make, None, cancels, eager, max_steps)
    failures = [f"undisturbed: {each}" for each in wrong]
    for step in range(steps):
        _, wrong = _run(make, step, cancels, eager, max_steps)
        failures += [f"cancelled before step {step} of {steps}: {each}" for each in wrong]
    if failures:
        raise AssertionError(f"{len(failures)} failures:\n" + "\n".join(failures))
    return steps


def _run(
    make: Callable[[], Awaitable[Scenario]], at: int | None, cancels: int, eager: bool, max_steps: int
) -> tuple[int, list[str]]:
    """One run: how many steps the caller was alive for, and what was wrong."""
    wrong: list[str] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, VirtualLoop)
            loop.set_exception_handler(lambda _, context: wrong.append(f"{context['message']}: {context.get('exception')!r}"))
            if eager and sys.version_info >= (3, 12):
                loop.set_task_factory(asyncio.eager_task_factory)
            steps = runner.run(_supervise(loop, make, at, cancels, max_steps, wrong))
            gc.collect()
    return steps, wrong + [f"{each.category.__name__}: {each.message}" for each in warned]


async def _supervise(
    loop: VirtualLoop, make: Callable[[], Awaitable[Scenario]], at: int | None, cancels: int, max_steps: int, wrong: list[str]
) -> int:
    scenario = await make()
    # Not eager, so that the cancel before the first step is among them.
    caller = asyncio.Task(scenario.caller(), loop=loop, name="the caller")
    step = 0
    disturbed = 0

    def before_step() -> None:
        nonlocal step, disturbed
        if caller.done():
            return
        if at is not None and at <= step < at + cancels:
            disturbed += caller.cancel()
        step += 1
        if step > max_steps:
            raise RuntimeError(f"the scenario takes more than {max_steps} steps")

    loop.before_step = before_step
    await asyncio.wait({caller})
    loop.before_step = None
    wrong += _outcome(caller, disturbed)
    if not caller.cancelled() and caller.exception() is None and isinstance(result := caller.result(), FakeConnection):
        scenario.driver.terminate(result)
    await scenario.settle()
    try:
        scenario.driver.assert_nothing_open()
    except AssertionError as error:
        wrong.append(str(error))
    wrong += [f"left behind: {task!r}" for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    wrong += [f"left armed: {timer!r}" for timer in loop.timers]
    return step


def _outcome(caller: asyncio.Task[object], disturbed: int) -> list[str]:
    if caller.cancelled():
        return [] if disturbed else ["the caller was cancelled by somebody else"]
    if (error := caller.exception()) is not None:
        return [f"{'instead of the cancel' if disturbed else 'the scenario'} raised {error!r}"]
    return [f"the cancel was swallowed; the result was {caller.result()!r}"] if disturbed else []
