"""The smallest sample of the last ten minutes: what a node can do when nothing is in the way. Pure: the time is an argument."""

from __future__ import annotations

import math
from collections import deque

__all__ = ["Floor"]

BUCKET, BUCKETS = 60.0, 10
"""The minimum is taken over ten buckets of a minute."""


class Floor:
    """A windowed minimum. `value` is infinite before the first sample."""

    __slots__ = ("_minima", "value")

    def __init__(self) -> None:
        self._minima: deque[tuple[float, float]] = deque()
        self.value = math.inf

    def lower(self, seconds: float, now: float) -> None:
        """A sample."""
        minima, bucket = self._minima, now // BUCKET
        if minima and minima[-1][0] == bucket:
            if seconds >= minima[-1][1]:
                return  # the usual case
            minima[-1] = (bucket, seconds)
        else:
            minima.append((bucket, seconds))
            while minima[0][0] <= bucket - BUCKETS:
                minima.popleft()
        self.value = min(lowest for _, lowest in minima)
