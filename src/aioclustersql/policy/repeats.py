"""What was said lately, so that an error that repeats is told once and then counted. Pure: the time is an argument.

Rule: what is remembered is bounded, however many different errors there are.
"""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["INTERVAL", "Repeats"]

INTERVAL = 60.0
"""Seconds in which the same is not said twice."""
MOST = 100
"""So many different things are told apart; the others count as one."""


class Repeats:
    """What was said, when, and how often it was not said since."""

    def __init__(self) -> None:
        self._said: dict[Hashable, tuple[float, int]] = {}

    def due(self, what: Hashable, now: float) -> int | None:
        """Whether to say it: how often it was left out since it was said last; `None`: not now."""
        if what not in self._said and len(self._said) >= MOST:
            self._said = {key: known for key, known in self._said.items() if now < known[0] + INTERVAL}
            if len(self._said) >= MOST:
                what = None
        at, left_out = self._said.get(what, (-INTERVAL, 0))
        if now < at + INTERVAL:
            self._said[what] = (at, left_out + 1)
            return None
        self._said[what] = (now, 0)
        return left_out

    def forget(self, what: Hashable) -> None:
        """It is over: when it happens again, that is news."""
        self._said.pop(what, None)
