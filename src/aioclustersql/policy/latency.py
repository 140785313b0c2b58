"""How long a login takes on one node: samples in, an estimate and a percentile out. Pure: the time is an argument.

All times are seconds. The estimate orders nodes, the percentile sets the hedge delay; both forget.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from math import exp

from .floor import Floor

__all__ = ["CROWD", "GRACE_MIN", "MIN_SAMPLES", "LoginLatency", "grace"]

ALPHA = 0.2
"""Weight of a new sample in the moving average (EWMA)."""
CAP = 2.0
"""A sample counts at most this many times the estimate: it takes three stalls in a row to leave the band of equality, not one."""
DECAY = 3.0
"""Time constant, in seconds, with which an idle estimate returns to the node's own minimum."""
WINDOW, WINDOW_AGE = 128, 60.0
"""The percentile's window: the last 128 successes, none older than a minute."""
FEW = 5
"""Below this many samples the smallest is the estimate: the first login of all is slow (caches, names, a race of all)."""
MIN_SAMPLES = 20
"""Below this many samples in the window a percentile says nothing."""
CROWD = 4
"""More logins of ours than this at once on a node, and what they take says more about us than about the node."""
GRACE_MIN = 1.0
"""A login that lost its race gets at least this long to end by itself."""


class LoginLatency:
    """The login times of one node."""

    __slots__ = ("_estimate", "_floor", "_ordered", "_updated", "_window", "samples")

    def __init__(self) -> None:
        self._estimate: float | None = None
        self._updated = 0.0
        self._floor = Floor()
        self._window: deque[tuple[float, float]] = deque()
        self._ordered: list[float] = []
        self.samples = 0

    @property
    def known(self) -> bool:
        """Whether there is any estimate."""
        return self._estimate is not None

    @property
    def last_sample(self) -> float:
        """When the last sample came, on the caller's clock."""
        return self._updated

    def estimate(self, now: float) -> float | None:
        """The expected login time; `None` before the first sample. While idle it decays towards the node's own minimum."""
        estimate, floor = self._estimate, self._floor.value
        if estimate is None or estimate <= floor:
            return estimate
        idle = now - self._updated
        return floor + (estimate - floor) * exp(-idle / DECAY) if idle > 0.0 else estimate

    def observe(self, seconds: float, now: float, *, crowded: bool = False) -> None:
        """A login succeeded after `seconds`. `crowded`: among more than `CROWD` of ours on the node.

        A crowded one can lower the estimate and never raises it, and says nothing about the percentile: else equal nodes would
        be far from equal after a burst of ours, until the estimates of those that were not chosen since have decayed.
        """
        self.samples += 1
        if crowded and self._estimate is not None:
            self._observe_at_most(seconds, now)
            return
        if self.samples < FEW and self._estimate is not None:
            self._estimate = min(seconds, self._estimate)
            self._updated = now
        else:
            self._average(seconds, now)
        self._floor.lower(seconds, now)
        if len(self._window) == WINDOW:
            self._drop_oldest()
        self._window.append((now, seconds))
        insort(self._ordered, seconds)

    def _observe_at_most(self, seconds: float, now: float) -> None:
        current = self.estimate(now)
        if current is not None and seconds < current:
            self._average(seconds, now)
            self._floor.lower(seconds, now)

    def observe_at_least(self, seconds: float, now: float) -> None:
        """A login was cut off after `seconds` without an end: a lower bound (a censored sample).

        It can raise the estimate and never lowers it; it says nothing about the percentile.
        """
        current = self.estimate(now)
        if current is None or seconds > current:
            self._average(seconds, now)

    def quantile(self, fraction: float, now: float) -> float | None:
        """That quantile of the recent successes; `None` when there are fewer than `MIN_SAMPLES` of them. Changes nothing."""
        return _quantile(sorted(seconds for at, seconds in tuple(self._window) if now - at <= WINDOW_AGE), fraction)

    def p95(self, now: float) -> float | None:
        """The 95th percentile, as `quantile`; cheap, and forgets what is too old."""
        window = self._window
        while window and now - window[0][0] > WINDOW_AGE:
            self._drop_oldest()
        return _quantile(self._ordered, 0.95)

    def _average(self, seconds: float, now: float) -> None:
        current = self.estimate(now)
        if current is None:
            self._estimate = seconds
        else:
            self._estimate = (1 - ALPHA) * current + ALPHA * min(seconds, CAP * current)
        self._updated = now

    def _drop_oldest(self) -> None:
        _, seconds = self._window.popleft()
        del self._ordered[bisect_left(self._ordered, seconds)]


def _quantile(ordered: list[float], fraction: float) -> float | None:
    count = len(ordered)
    return ordered[min(count - 1, int(fraction * count))] if count >= MIN_SAMPLES else None


def grace(latency: LoginLatency, now: float) -> float:
    """How long a login that lost its race may go on before it is cut off: 4 x p95, and twice the estimate without one."""
    p95, estimate = latency.p95(now), latency.estimate(now)
    if p95 is not None:
        return max(GRACE_MIN, 4.0 * p95)
    return GRACE_MIN if estimate is None else max(GRACE_MIN, 2.0 * estimate)
