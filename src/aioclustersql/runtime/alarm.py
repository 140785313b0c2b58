"""One timer for many deadlines: those who wait in the pool come and go by the thousand, and hardly any of them runs out of time.

Rule: it is set to the earliest deadline and looked at when it rings; nothing is done for one that was met.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

__all__ = ["Alarm"]


class Alarm:
    """Calls `ring(now)` when the earliest deadline has come. What it returns is the next one; `math.inf`: there is none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[float], float]) -> None:
        self._loop = loop
        self._ring = ring
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float) -> None:
        """Ring by then, on the loop's clock."""
        if deadline < self._at:
            self.stop()
            self._at = deadline
            self._timer = self._loop.call_at(deadline, self._rings)

    def stop(self) -> None:
        """Do not ring."""
        self._at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rings(self) -> None:
        due, self._at, self._timer = self._at, math.inf, None
        self.set(self._ring(max(due, self._loop.time())))  # a timer may fire a clock tick early
