"""Whether another login is worth its cost to those who wait: not while the queue empties sooner than a login takes. Pure.

How soon a connection comes back is foreseen from how long leases last on average, and from how long those that are out now have
been; one that has been out for too long is not counted on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from .ledger import Book, Ledger

__all__ = ["drain_time", "logins_due", "reconsider_at"]

W = TypeVar("W")

OVERDUE = 0.25
"""A reset, or a look at a connection, that takes longer is not counted on any more: its node may be silent."""
LONG_LEASE = 5.0
"""Nor is a connection that has been leased for so many seconds: its user listens on it, perhaps, and returns it some day."""
_TICK = 1e-6
"""A timer may fire a clock tick early."""


def drain_time(ledger: Ledger[W], wants: W, serving: Sequence[Book], now: float) -> float:
    """In how many seconds those who want this will have been served by what is open: 0 when nobody waits, infinite when
    nothing is expected back.

    A connection is out for as long as the average says, or for as long as those that are out now have been on average, if that
    is longer: what is known before the first comes back, and soon after the queries have become slower.
    """
    group = ledger.groups.get(wants)
    if not group:
        return 0.0
    went = [since for since, until in _out(serving) if now < until]
    if not went:
        return math.inf
    return len(group) * max(ledger.use or 0.0, now - sum(went) / len(went)) / len(went)


def logins_due(ledger: Ledger[W], wants: W, serving: Sequence[Book], expected: int, login: float, now: float) -> int:
    """How many logins are worth starting for those who want this, with `expected` under way and fresh.

    None while the queue empties sooner than a login takes; else one for each who waits.
    """
    group = ledger.groups.get(wants)
    if not group or drain_time(ledger, wants, serving, now) <= login:
        return 0
    return max(0, len(group) - expected)


def reconsider_at(ledger: Ledger[W], wants: W, serving: Sequence[Book], login: float, now: float) -> float:
    """When a login becomes worth starting if nothing comes back until then; `now` when nothing changes that any more."""
    group = ledger.groups.get(wants)
    out = [(since, until) for since, until in _out(serving) if now < until]
    if not group or not out:
        return now
    worth_it = sum(since for since, _ in out) / len(out) + login * len(out) / len(group) + _TICK
    return max(now, min(worth_it, *(until for _, until in out)))


def _out(serving: Sequence[Book]) -> Iterator[tuple[float, float]]:
    """Of each connection that is out: since when, and until when it is counted on."""
    for book in serving:
        for slot in book.leased:
            yield slot.since, slot.since + LONG_LEASE
        for slot in book.returning:
            yield slot.since, slot.since + OVERDUE
