"""Counts how often something took how long, in fixed buckets: a few additions a sample, so that it can be done always.

Rule: what is counted only grows, whenever and from whichever thread it is read.
"""

from __future__ import annotations

import math
from bisect import bisect_left

from ..stats import Histogram

__all__ = ["BOUNDS", "Tally"]

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The buckets' upper bounds in seconds, for logins, waits and leases alike; a last bucket has what took longer."""


class Tally:
    """One histogram that grows. A bucket has what is above the bound before it, up to its own."""

    __slots__ = ("at", "counts", "high", "low", "sums")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sums = [0.0] * (len(BOUNDS) + 1)
        # The bucket of the last sample: nearly always the next one's, too, and twice as quickly compared as searched for.
        self.at, self.low, self.high = 0, -1.0, BOUNDS[0]

    def observe(self, seconds: float) -> None:
        """One sample."""
        if not self.low < seconds <= self.high:
            self.turn(seconds)
        self.counts[self.at] += 1
        self.sums[self.at] += seconds

    def turn(self, seconds: float) -> None:
        """Go to this sample's bucket."""
        self.at = at = bisect_left(BOUNDS, seconds)
        self.low = BOUNDS[at - 1] if at else -1.0
        self.high = BOUNDS[at] if at < len(BOUNDS) else math.inf

    def frozen(self, at_once: int = 0) -> Histogram:
        """As it is now; with so many more that took no time at all."""
        counts = tuple(self.counts)
        return Histogram(BOUNDS, (counts[0] + at_once, *counts[1:]), tuple(self.sums))
