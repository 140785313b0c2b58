"""How long one round trip to a node takes: samples in, an estimate out. Pure: the time is an argument; all times are seconds.

It ranks leases, as `latency` ranks logins, and must notice within a few samples that a node is slow, and that it is so no more.
"""

from __future__ import annotations

from collections import deque
from math import exp

from .floor import Floor
from .latency import ALPHA, CAP, DECAY

__all__ = ["RoundTrip", "equal_up_to"]

BAND, NOISE = 1.5, 0.0003
"""Round trips within this factor, or this many seconds, of each other count as equal: less is the scheduler's, not the node's."""
IN_A_ROW = 3
"""So many samples in a row below the estimate prove that it is too high; so many beyond the cap, that it is too low."""
REST = 3.0
"""The estimate decays only after so many seconds without a sample: the monitor's own come every second, and tell better."""
FAR = 3.0
"""So many times its own minimum, and `FAR_NOISE` more than it, a round trip is far from what the node can do."""
FAR_NOISE = 0.001


def equal_up_to(low: float) -> float:
    """The greatest estimate that counts as equal to `low`, the smallest."""
    return max(BAND * low, low + NOISE)


class RoundTrip:
    """The round trips of one node: an EWMA, each sample capped at twice the estimate, that decays to the node's own minimum.

    Three samples in a row below the estimate pull it down to the greatest of them, and three beyond the cap push it up to the
    smallest: a stall or two are noise, three are the node.
    """

    __slots__ = ("_above", "_below", "_estimate", "_floor", "_updated")

    def __init__(self) -> None:
        self._estimate: float | None = None
        self._updated = 0.0
        self._below: deque[float] = deque(maxlen=IN_A_ROW)
        self._above: deque[float] = deque(maxlen=IN_A_ROW)
        self._floor = Floor()

    def __repr__(self) -> str:
        return "<RoundTrip: none yet>" if self._estimate is None else f"<RoundTrip: {self._estimate:.3g} s>"

    @property
    def floor(self) -> float | None:
        """The smallest of the last ten minutes; `None` before the first sample."""
        return None if self._estimate is None else self._floor.value

    def estimate(self, now: float) -> float | None:
        """The expected round trip; `None` before the first sample. While idle it decays towards the node's own minimum."""
        estimate, floor = self._estimate, self._floor.value
        if estimate is None or estimate <= floor:
            return estimate
        idle = now - self._updated - REST
        return floor + (estimate - floor) * exp(-idle / DECAY) if idle > 0.0 else estimate

    def is_far(self, now: float) -> bool:
        """Whether it is far above the node's own minimum: then it is worth while to ask more often whether that is over."""
        estimate = self.estimate(now)
        return estimate is not None and estimate > max(FAR * self._floor.value, self._floor.value + FAR_NOISE)

    def observe(self, seconds: float, now: float) -> None:
        """A round trip took so long."""
        current = self.estimate(now)
        self._floor.lower(seconds, now)
        if current is None:
            self._estimate, self._updated = seconds, now
            return
        cap = max(CAP * current, NOISE)
        estimate = (1 - ALPHA) * current + ALPHA * min(seconds, cap)
        below, above = self._below, self._above
        if seconds < current:
            below.append(seconds)
            if len(below) == IN_A_ROW:
                estimate = min(estimate, max(below))
        elif below:
            below.clear()
        if seconds > cap:
            above.append(seconds)
            if len(above) == IN_A_ROW:
                estimate = max(estimate, min(above))
        elif above:
            above.clear()
        self._estimate, self._updated = estimate, now
