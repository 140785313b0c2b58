"""SIGINT and SIGTERM for a command: the first one cancels its work, which then ends in order. The rest of the demo is elsewhere.

Rule: whatever comes, the work's own cleaning up is never cut short.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Self

__all__ = ["Ending"]


class Ending:
    """SIGINT and SIGTERM: the first one cancels the work, which ends in order; later ones change nothing.

    Not `loop.add_signal_handler`: between the loop's end and the process's a second Ctrl-C would be a traceback again.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._cancel: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._received) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if self.number is None else signal.SIG_IGN)

    def _received(self, number: int, _: object) -> None:
        if self.number is None:
            self.number = number
            if self._cancel is not None:
                self._cancel()

    async def watch(self, work: Callable[[], Awaitable[int]]) -> int:
        """Do the work, and return its exit code or the signal's."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            code = await work() if self.number is None else 0
        except asyncio.CancelledError:
            if self.number is None:
                raise
            code = 0
        finally:
            self._cancel = None
        return code if self.number is None else 128 + self.number
