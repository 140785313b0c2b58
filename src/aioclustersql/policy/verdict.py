"""When the monitor calls a node silent, and how often it asks; pure. The times are arguments, in seconds of one clock.

A node is silent when its reserved connection and a fresh login both had their time without a sign of life from it. Rule: what
may be our own fault (a blocked loop, a lost network) is no verdict on a node.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["FAST", "LATE", "RECENT", "RENEW", "SLOWER", "Verdict", "Window", "is_late", "judge", "pause", "renew_after"]

LATE = 0.05
"""A timer that wakes so much too late means that our own loop was blocked, and answers may lie unread."""
FAST, FASTEST_FOR, SLOWER = 0.05, 30.0, 0.25
"""While something is unsettled nodes are asked every 0.05 s; after 30 s of it every 0.25 s. Nodes that are down are asked every
0.25 s, and after 30 s at the usual interval."""
MISSED_FOR = 5.0
"""For so many seconds a node that is down is asked every 0.05 s as well, if none serves the usual target: all wait for it. No
longer, since a server that recovers writes each refusal to its log."""
RECENT = 1.0
"""For so many seconds after a node changed its role or health the others may too."""
RENEW, RENEWALS, RENEW_LATER = 5.0, 12, 30.0
"""A silent node has one login of ours pending, renewed every 5 s in case its packets went astray, and after a minute every 30 s:
MySQL counts each interrupted handshake, and blocks a host after 100 of them."""


class Verdict(Enum):
    """What the end of a window says."""

    LATE = auto()
    """We were late ourselves: void, the window begins anew."""
    ALIVE = auto()
    """Something came from the node: it is slow, and that is no fault to cut anybody off for. Wait on."""
    OURSELVES = auto()
    """No other node was heard of either: it may be us. Wait on, twice as long."""
    SILENT = auto()
    """It is the node."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time a node has to answer. `patient`: it was granted because nobody else was heard of, and is the last."""

    since: float
    timeout: float
    patient: bool = False

    @property
    def half(self) -> float:
        """When the second witness is called, and the other nodes are asked, too."""
        return self.since + self.timeout / 2.0

    @property
    def end(self) -> float:
        """When the time is over."""
        return self.since + self.timeout

    def anew(self, now: float) -> Window:
        """The same time again, from now on."""
        return Window(now, self.timeout, self.patient)

    def longer(self, now: float) -> Window:
        """Twice the time, once."""
        return Window(now, 2.0 * self.timeout, patient=True)


def is_late(due: float, now: float) -> bool:
    """Whether a timer woke too late for what it says to be of any worth."""
    return now - due > LATE


def judge(window: Window, now: float, *, heard: float, others_heard: float) -> Verdict:
    """What it means that the window ended without an answer.

    heard: when anything last came from the node, on any connection. others_heard: the same of any other node; what they said
    before the second half tells nothing of the time in which this one was found silent.
    """
    if is_late(window.end, now):
        return Verdict.LATE
    if heard >= window.since:
        return Verdict.ALIVE
    if others_heard < window.half and not window.patient:
        return Verdict.OURSELVES
    return Verdict.SILENT


def pause(interval: float, *, down_for: float | None, unsettled_for: float | None, missed: bool = False) -> float:
    """Seconds from the beginning of one probe to that of the next.

    down_for: since when the node is down. unsettled_for: since when no node serves the usual target, or a node has just changed,
    or this one answers far slower than it can. `None`: it is not so. missed: no node serves the usual target.
    """
    if down_for is not None:
        if missed and down_for < MISSED_FOR:
            return min(interval, FAST)
        return min(interval, SLOWER) if down_for < FASTEST_FOR else interval
    if unsettled_for is not None:
        return min(interval, FAST if unsettled_for < FASTEST_FOR else SLOWER)
    return interval


def renew_after(renewals: int) -> float:
    """How many seconds a login to a silent node is left pending, after so many that were renewed already."""
    return RENEW if renewals < RENEWALS else RENEW_LATER
