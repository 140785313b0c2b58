"""Virtual time: an event loop whose clock jumps to the next timer instead of waiting for it.

Sleeping 1,000 seconds takes no real time and ends at exactly 1000.0. Nothing here knows of databases.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["Deadlock", "VirtualLoop", "run_virtual"]

T = TypeVar("T")

_NS = 1_000_000_000


class Deadlock(RuntimeError):
    """Nothing can ever happen again in a `VirtualLoop`; the message lists the pending tasks and where they wait."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, for tests.

    Whenever nothing is ready to run, the clock jumps to the next timer. The clock starts at 0 and is kept in whole
    nanoseconds, so that times do not drift; still, write 0.25 and not 0.1 where you compare times exactly. When no timer is
    armed either, `Deadlock` is raised out of the run.

    Use it wherever a loop factory is taken: `asyncio.Runner(loop_factory=VirtualLoop)`, pytest-asyncio's hook
    `pytest_asyncio_loop_factories`, or `run_virtual`. Eager tasks work. What happens outside the loop's clock does not:
    threads (`asyncio.to_thread`, executors, name look-ups) and waiting for other processes; the clock does not wait for them.
    """

    max_jumps = 1_000_000
    """So many jumps of the clock in one run are taken for a run without end, and raise `Deadlock`."""

    _scheduled: list[asyncio.TimerHandle]
    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        self._now = 0
        self._jumps = 0
        self.steps = 0
        """How many callbacks this loop has run, or begun to run."""
        self.before_step: Callable[[], None] | None = None
        """Called before each callback that the loop runs: a place to interfere with a run at any point of it."""
        super().__init__(_Polling(self._idle))
        self._ready = _Steps(self)

    def time(self) -> float:
        """Virtual seconds since this loop was made."""
        return self._now / _NS

    @property
    def timers(self) -> tuple[asyncio.TimerHandle, ...]:
        """The armed timers, earliest first."""
        return tuple(sorted(timer for timer in self._scheduled if not timer.cancelled()))

    def __repr__(self) -> str:
        state = "closed" if self.is_closed() else "running" if self.is_running() else "idle"
        return f"<VirtualLoop {state} at {self.time():g} s, steps={self.steps}, timers={len(self.timers)}>"

    def _idle(self, timeout: float | None) -> None:
        if timeout is None or self._scheduled[0].when() == math.inf:
            raise Deadlock(f"deadlock at {self.time():g} s: nothing is ready and no timer is armed. {_pending(self)}")
        self._jumps += 1
        if self._jumps > self.max_jumps:
            raise Deadlock(f"no end after {self._jumps - 1} timers, at {self.time():g} s. {_pending(self)}")
        self._now += round(timeout * _NS)
        # A timer is due within the clock's resolution; far from 0 a float is coarser than a nanosecond.
        self._clock_resolution = max(1 / _NS, math.ulp(self.time()))


class _Polling(selectors.DefaultSelector):
    """Never waits: when nothing is ready, it tells how long it was asked to wait."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._on_idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            self._on_idle(timeout)
        return ready


class _Steps(deque[asyncio.Handle]):
    """The loop's queue of callbacks, counting those that it takes out to run."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def popleft(self) -> asyncio.Handle:
        handle = super().popleft()
        if not handle.cancelled():
            if self._loop.before_step is not None:
                self._loop.before_step()
            self._loop.steps += 1
        return handle


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in a new `VirtualLoop`, as `asyncio.run` does in a real one, and return its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def _pending(loop: asyncio.AbstractEventLoop) -> str:
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    return (
        "Pending tasks:" + "".join(f"\n  {task.get_name()}: {_where(task)}" for task in tasks) if tasks else "No task is pending."
    )


def _where(task: asyncio.Task[Any]) -> str:
    """The chain of awaits in which a task is suspended, outermost first."""
    places: list[str] = []
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is None:
            break
        places.append(f"{awaited.__qualname__} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})")
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    waiter = getattr(task, "_fut_waiter", None)
    if isinstance(waiter, asyncio.Task):
        places.append(f"task {waiter.get_name()}")
    return " > ".join(places) or repr(task)
