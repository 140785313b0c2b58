"""How long a login takes on one node: samples in, an estimate and a percentile out. Pure: the time is an argument.

All times are seconds. The estimate orders nodes, the percentile sets the hedge delay; both forget.
"""

from __future__ import annotations

from collections import deque
from math import exp

__all__ = ["GRACE_MIN", "MIN_SAMPLES", "LoginLatency", "grace"]

ALPHA = 0.2
"""Weight of a new sample in the moving average (EWMA)."""
CAP = 4.0
"""A sample counts at most this many times the estimate: one stall must not push a node to the end of the order."""
DECAY = 3.0
"""Time constant, in seconds, with which an idle estimate returns to the node's own minimum."""
MINIMUM_BUCKET, MINIMUM_BUCKETS = 60.0, 10
"""The minimum is taken over ten buckets of a minute."""
WINDOW, WINDOW_AGE = 128, 60.0
"""The percentile's window: the last 128 successes, none older than a minute."""
FEW = 5
"""Below this many samples the smallest is the estimate: the first login of all is slow (caches, names, a race of all)."""
MIN_SAMPLES = 20
"""Below this many samples in the window a percentile says nothing."""
GRACE_MIN = 1.0
"""A login that lost its race gets at least this long to end by itself."""


class LoginLatency:
    """The login times of one node."""

    __slots__ = ("_estimate", "_minima", "_p95", "_updated", "_window", "samples")

    def __init__(self) -> None:
        self._estimate: float | None = None
        self._updated = 0.0
        self._minima: deque[tuple[float, float]] = deque(maxlen=MINIMUM_BUCKETS)
        self._window: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._p95: float | None = None
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
        if self._estimate is None or not self._minima:
            return self._estimate
        floor = self._minimum(now)
        idle = now - self._updated
        if self._estimate <= floor or idle <= 0.0:
            return self._estimate
        return floor + (self._estimate - floor) * exp(-idle / DECAY)

    def observe(self, seconds: float, now: float) -> None:
        """A login succeeded after `seconds`."""
        self.samples += 1
        if self.samples < FEW and self._estimate is not None:
            self._estimate = min(seconds, self._estimate)
            self._updated = now
        else:
            self._average(seconds, now)
        bucket = now // MINIMUM_BUCKET
        if self._minima and self._minima[-1][0] == bucket:
            self._minima[-1] = (bucket, min(self._minima[-1][1], seconds))
        else:
            self._minima.append((bucket, seconds))
        self._window.append((now, seconds))
        self._p95 = None

    def observe_at_least(self, seconds: float, now: float) -> None:
        """A login was cut off after `seconds` without an end: a lower bound (a censored sample).

        It can raise the estimate and never lowers it; it says nothing about the percentile.
        """
        current = self.estimate(now)
        if current is None or seconds > current:
            self._average(seconds, now)

    def quantile(self, fraction: float, now: float) -> float | None:
        """That quantile of the recent successes; `None` when there are fewer than `MIN_SAMPLES` of them. Changes nothing."""
        ordered = sorted(seconds for at, seconds in tuple(self._window) if now - at <= WINDOW_AGE)
        if len(ordered) < MIN_SAMPLES:
            return None
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]

    def p95(self, now: float) -> float | None:
        """The 95th percentile, as `quantile`; kept until the window changes."""
        if self._forget(now) or self._p95 is None:
            self._p95 = self.quantile(0.95, now)
        return self._p95

    def _average(self, seconds: float, now: float) -> None:
        current = self.estimate(now)
        if current is None:
            self._estimate = seconds
        else:
            self._estimate = (1 - ALPHA) * current + ALPHA * min(seconds, CAP * current)
        self._updated = now

    def _minimum(self, now: float) -> float:
        oldest = now // MINIMUM_BUCKET - MINIMUM_BUCKETS
        while len(self._minima) > 1 and self._minima[0][0] <= oldest:
            self._minima.popleft()
        return min(seconds for _, seconds in self._minima)

    def _forget(self, now: float) -> bool:
        window, forgot = self._window, False
        while window and now - window[0][0] > WINDOW_AGE:
            window.popleft()
            forgot = True
        return forgot


def grace(latency: LoginLatency, now: float) -> float:
    """How long a login that lost its race may go on before it is cut off."""
    p95 = latency.p95(now)
    return GRACE_MIN if p95 is None else max(GRACE_MIN, 4.0 * p95)
