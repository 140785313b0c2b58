"""The last minute of each node's latency, and its line as the path of an SVG. Pure: times are arguments."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from ...node import Health
from ...stats import ClusterStats, NodeStats

__all__ = ["HEIGHT", "WIDTH", "History", "Sparkline"]

SPAN = 60.0
"""Seconds that a line shows."""
APART = 0.5
"""Seconds between two samples at least."""
GAP = 3.5
"""Seconds without a sample after which the line is broken."""
WIDTH, HEIGHT = 120, 24
"""Of a sparkline, in the units of its SVG."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A line to draw, and its extremes in seconds (None: nothing was measured)."""

    path: str
    low: float | None
    high: float | None


class History:
    """Samples of the clusters' nodes, taken while somebody watches."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, str], deque[tuple[float, float | None]]] = {}

    def sample(self, stats: ClusterStats, now: float) -> None:
        """Note each node's latency; that of a node which is not up is a gap."""
        for node in stats.nodes.values():
            samples = self._samples.setdefault((stats.name, node.name), deque(maxlen=int(SPAN) + 2))
            if samples and now - samples[-1][0] < APART:
                continue
            samples.append((now, latency_of(node) if node.health is Health.UP else None))
        gone = [key for key in self._samples if key[0] == stats.name and key[1] not in stats.nodes]
        for key in gone:
            del self._samples[key]

    def line(self, cluster: str, node: str, now: float) -> Sparkline:
        """The node's last minute, scaled to its own highest value."""
        samples = [(at, value) for at, value in self._samples.get((cluster, node), ()) if now - at <= SPAN]
        values = [value for _, value in samples if value is not None]
        if not values:
            return Sparkline("", None, None)
        high = max(values)
        path, last = [], -math.inf
        for at, value in samples:
            if value is None:
                last = -math.inf
                continue
            x = WIDTH * (1 - (now - at) / SPAN)
            y = HEIGHT - 2 - (HEIGHT - 4) * value / high if high else HEIGHT - 2
            path.append(f"{'L' if at - last <= GAP else 'M'}{x:.1f} {y:.1f}")
            last = at
        return Sparkline("".join(path), min(values), high)


def latency_of(node: NodeStats) -> float | None:
    """A question's duration, or a login's where nothing has been asked yet."""
    return node.latency if node.round_trip is None else node.round_trip
