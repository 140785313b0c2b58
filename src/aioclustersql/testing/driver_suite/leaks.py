"""Runs a coroutine in an event loop of its own, and fails where it leaves something behind: a task, a thread, a descriptor.

Descriptors are counted on Linux. Rule: what ends by itself within a moment is no leak.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

__all__ = ["run_checked"]

_MOMENT = 2.0
"""Seconds until a thread that was told to end has ended, and a socket that was shut down is closed."""
_DESCRIPTORS = Path("/proc/self/fd")


def run_checked(
    test: Callable[[], Coroutine[Any, Any, None]], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> None:
    """Run `test()`. Raises what it raises, and `AssertionError` for what it left behind or nobody looked at."""
    reported: list[dict[str, Any]] = []
    stray: list[str] = []
    left = ""

    async def watched() -> None:
        nonlocal left
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        threads, descriptors = set(threading.enumerate()), _open_descriptors()
        await test()
        await asyncio.sleep(0)  # what was closed calls back
        stray.extend(repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task())
        gc.collect()
        await loop.shutdown_default_executor()  # the loop's own threads, for name resolution
        deadline = loop.time() + _MOMENT
        while (left := _left(threads, descriptors)) and loop.time() < deadline:
            await asyncio.sleep(0.005)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(watched())
    assert not stray, f"tasks were left behind: {stray}"
    assert not reported, f"the loop's exception handler was called: {reported}"
    assert not left, left


def _left(threads: set[threading.Thread], descriptors: int) -> str:
    more = [thread.name for thread in threading.enumerate() if thread not in threads and thread.is_alive()]
    if more:
        return f"threads were left running: {more}"
    count = _open_descriptors()
    return f"{count - descriptors} descriptors were left open" if count > descriptors else ""


def _open_descriptors() -> int:
    return sum(map(_is_a_leak, _DESCRIPTORS.iterdir())) if _DESCRIPTORS.exists() else 0


def _is_a_leak(entry: Path) -> bool:
    """A socket or a file; what an event loop has for itself is neither."""
    try:
        return str(entry.readlink()).startswith("socket:") or entry.is_file()
    except OSError:
        return False  # the descriptor of this very listing
