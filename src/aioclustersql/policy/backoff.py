"""How long to pause before the next try of something that keeps failing; pure.

Rule: a pause grows with the time for which it has failed already, so that nobody waits an eighth longer than the failure lasts;
the random part keeps many clients of one server apart.
"""

from __future__ import annotations

from .health import Rng

__all__ = ["FIRST", "MAX", "backoff"]

FIRST, MAX = 0.05, 0.5
"""Seconds that a pause may take at first, and at last."""
_PART = 0.125
"""In between: this part of the time for which it has failed."""


def backoff(failing_for: float, rng: Rng) -> float:
    """Seconds to pause: a random part (full jitter) of what it may be after failing for so many seconds."""
    return rng.random() * min(max(FIRST, _PART * failing_for), MAX)
