"""What becomes of samples: percentiles, ratios, and how sure a ratio is. Pure: no clock, no randomness but a seeded one.

Rule: with too few samples for a percentile the largest stands for it, so that a small run never looks better than it was.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import median

__all__ = ["curve", "percentile", "ratio", "ratio_interval"]


def percentile(samples: Sequence[float], part: float) -> float:
    """The smallest sample that at least `part` (0.999 = 99.9 %) of all do not exceed. Raises `ValueError` for no samples."""
    if not samples:
        raise ValueError("there are no samples")
    rank = math.ceil(round(part * len(samples), 9))
    return sorted(samples)[min(max(rank, 1), len(samples)) - 1]


def ratio(ours: Sequence[float], other: Sequence[float]) -> float:
    """Our median by the other's."""
    return median(ours) / median(other)


def ratio_interval(ours: Sequence[float], other: Sequence[float], seed: int = 1) -> tuple[float, float]:
    """Where the ratio of the medians lies, in 95 of 100 bootstrap samples."""
    rng = random.Random(seed)
    draws = sorted(median(rng.choices(ours, k=len(ours))) / median(rng.choices(other, k=len(other))) for _ in range(400))
    return draws[10], draws[389]


def curve(samples: Sequence[float], points: int = 120) -> list[tuple[float, float]]:
    """The distribution as at most about so many (value, part of the samples above it), dense where few are above.

    The last point is the largest sample, with the part 1/n: a picture of the tail needs it, and a logarithm no zero.
    """
    ordered = sorted(samples)
    count = len(ordered)
    ranks = {count - 1 - min(count - 1, round(count ** (step / points)) - 1) for step in range(points + 1)}
    return [(ordered[rank], (count - rank) / count) for rank in sorted(ranks)]
