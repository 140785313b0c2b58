"""Figures and states in words: seconds, bytes, ages and what ails a node, as people read them."""

from __future__ import annotations

from datetime import datetime

from ...node import Health
from ...stats import NodeStats

__all__ = ["age", "clock", "duration", "heard_of", "size", "trouble"]


def duration(seconds: float | None) -> str:
    """`0.0042` is "4.2 ms"; a dash for what is not known."""
    if seconds is None:
        return "—"
    if seconds < 0.0001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else _long(seconds)


def age(moment: datetime, now: datetime) -> str:
    """ "12 s ago"."""
    seconds = max(0.0, (now - moment).total_seconds())
    return "just now" if seconds < 1 else f"{_long(seconds)} ago"


def clock(moment: datetime) -> str:
    """Its time of day, in UTC."""
    return f"{moment:%H:%M:%S}"


def size(count: int | None) -> str:
    """Bytes: "1.4 MB"."""
    if count is None:
        return "—"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def heard_of(node: NodeStats) -> bool:
    """Whether anything is known of it yet."""
    return bool(node.observed or node.last_success or node.cause)


def trouble(node: NodeStats) -> str | None:
    """What ails a node that is up."""
    if node.health is not Health.UP:
        return None
    return "degraded" if node.degraded else "avoided" if node.avoided else None


def _long(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    if seconds < 86400:
        return f"{seconds // 3600:.0f} h"
    return f"{seconds // 86400:.0f} d"
