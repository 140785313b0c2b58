"""How many lines of a kind a page is told in a second, so that a storm of events costs neither the server nor the reader.

Pure: the time is an argument. Rule: what is left out is counted, and the next line says so.
"""

from __future__ import annotations

__all__ = ["Limiter"]


class Limiter:
    """At most so many a second of each kind; kinds are few and fixed."""

    def __init__(self, per_second: int) -> None:
        self._limit = per_second
        self._seconds: dict[str, tuple[int, int]] = {}
        self._skipped: dict[str, int] = {}

    def allow(self, kind: str, now: float) -> int | None:
        """None when this one is to be left out, else how many were since the last that was not."""
        second, used = self._seconds.get(kind, (-1, 0))
        if second != int(now):
            used = 0
        if used >= self._limit:
            self._skipped[kind] = self._skipped.get(kind, 0) + 1
            return None
        self._seconds[kind] = (int(now), used + 1)
        return self._skipped.pop(kind, 0)
