"""How long something took, so many times: percentiles and a histogram from buckets that grow by 5 %. Pure.

Rule: the memory is the same after a second and after a day; a percentile is off by 5 % at most.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

__all__ = ["PERCENTILES", "Spread"]

PERCENTILES = (50.0, 90.0, 99.0, 99.9)
_FIRST = 1e-6
_GROWTH = 1.05
_LOG = math.log(_GROWTH)
_BUCKETS = 400
"""Up to 300 s."""


class Spread:
    """Counts samples; times are seconds."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.most = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """One sample."""
        self.count += 1
        self.total += seconds
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)
        place = math.ceil(math.log(max(seconds, _FIRST) / _FIRST) / _LOG)
        self._buckets[min(place, _BUCKETS)] += 1

    def percentile(self, percent: float) -> float:
        """The time that so many percent of the samples took at most."""
        if not self.count:
            raise ValueError("there is no sample")
        wanted = math.ceil(self.count * percent / 100)
        seen = 0
        for place in sorted(self._buckets):
            seen += self._buckets[place]
            if seen >= wanted:
                return min(max(_FIRST * _GROWTH**place, self.least), self.most)
        return self.most

    def rows(self, most: int = 12) -> list[tuple[float, float, int]]:
        """A histogram of at most so many rows: from, to (seconds), samples. The rows grow by one factor."""
        if not self.count:
            return []
        first, last = min(self._buckets), max(self._buckets)
        width = max(1, math.ceil((last - first + 1) / most))
        rows: Counter[int] = Counter()
        for place, count in self._buckets.items():
            rows[(place - first) // width] += count
        edges = [_FIRST * _GROWTH ** (first - 1 + width * number) for number in range(max(rows) + 2)]
        return [(edges[number], edges[number + 1], rows[number]) for number in range(max(rows) + 1)]

    def as_dict(self) -> Mapping[str, object]:
        """For JSON; times in seconds."""
        if not self.count:
            return {"count": 0}
        return {
            "count": self.count,
            "mean": self.total / self.count,
            "min": self.least,
            "max": self.most,
            **{f"p{percent:g}": self.percentile(percent) for percent in PERCENTILES},
            "histogram": [{"from": start, "to": end, "count": count} for start, end, count in self.rows()],
        }
