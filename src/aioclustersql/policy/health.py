"""The breaker of one node: (state, signal) -> state, as a table; pure. The time and the random source are arguments.

Only what says something about the *node* is a signal. A lost hedge, a full server, a wrong password, a failing `init` are not:
the last three put a node to the end of the order for a while and never open its breaker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Protocol

from ..failure import FailureKind
from ..node import Health

__all__ = [
    "AVOID",
    "DOUBTFUL",
    "HARD",
    "REFUSED",
    "REFUSED_FOR",
    "SILENT",
    "SOFT",
    "Breaker",
    "Rng",
    "Signal",
    "avoid_for",
    "login_signal",
    "step",
]

SOFT_LIMIT = 3
"""So many soft failures in a row open the breaker."""
OPEN_FIRST, OPEN_MAX = 0.5, 5.0
"""Seconds that the breaker stays open: 0.5 * 2^n up to 5. A longer cap keeps a healed node unused for as long."""
AVOID: Mapping[FailureKind, float] = {FailureKind.OVERLOADED: 1.0, FailureKind.CONFIGURATION: 5.0, FailureKind.OTHER: 1.0}
"""Seconds for which a node goes to the end of the order after such a failure."""

REFUSED = frozenset({FailureKind.OVERLOADED, FailureKind.CONFIGURATION})
"""A login that fails so was refused by a server that is up: it is full, or does not know us."""
REFUSED_FOR = 10.0
"""Seconds after the latest refusal in which a node counts as refusing; a monitor that is refused asks again within 5."""
HARD = frozenset({FailureKind.UNREACHABLE, FailureKind.NOT_READY, FailureKind.HOST_BLOCKED})
"""A login that fails so proves that the node serves nobody now."""
SILENT = frozenset({FailureKind.UNREACHABLE, FailureKind.TIMEOUT})
"""A node found down for such a cause answers no login that is still under way either."""
SOFT = frozenset({FailureKind.TIMEOUT, FailureKind.SESSION_LOST})
"""A login that fails so may have met a passing fault."""
DOUBTFUL = HARD | SOFT | {FailureKind.FOUND_CLOSED, FailureKind.ROLE_CHANGED, FailureKind.OUTCOME_UNKNOWN}
"""A connection that fails so in use is a reason to look at its node at once, no verdict: one killed session is no dead node."""


class Rng(Protocol):
    """The part of `random.Random` that policies use."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...


class Signal(Enum):
    """What happened to a node, as far as its health is concerned."""

    SUCCESS = auto()
    """A login was let in and is served, or was refused for a reason that is not the node's."""
    HARD_FAILURE = auto()
    SOFT_FAILURE = auto()
    LIMIT = auto()
    """The soft failure that reaches `SOFT_LIMIT`; made by `step`."""
    PROBE = auto()
    """The open time is over and one background login has started."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """A node's health. `retry_at` is when an open breaker may be probed; `cause` is the failure that opened it."""

    health: Health = Health.UP
    soft_failures: int = 0
    openings: int = 0
    retry_at: float = 0.0
    cause: str | None = None

    @property
    def closed(self) -> bool:
        """Whether user traffic goes there."""
        return self.health in (Health.UP, Health.SUSPECT)

    def wants_probe(self, now: float) -> bool:
        """Whether the open time is over and no probe is under way."""
        return self.health is Health.DOWN and now >= self.retry_at


TABLE: Mapping[tuple[Health, Signal], Health] = {
    (Health.UP, Signal.SUCCESS): Health.UP,
    (Health.UP, Signal.SOFT_FAILURE): Health.SUSPECT,
    (Health.UP, Signal.LIMIT): Health.DOWN,
    (Health.UP, Signal.HARD_FAILURE): Health.DOWN,
    (Health.SUSPECT, Signal.SUCCESS): Health.UP,
    (Health.SUSPECT, Signal.SOFT_FAILURE): Health.SUSPECT,
    (Health.SUSPECT, Signal.LIMIT): Health.DOWN,
    (Health.SUSPECT, Signal.HARD_FAILURE): Health.DOWN,
    (Health.DOWN, Signal.SUCCESS): Health.UP,
    (Health.DOWN, Signal.SOFT_FAILURE): Health.DOWN,
    (Health.DOWN, Signal.LIMIT): Health.DOWN,
    (Health.DOWN, Signal.HARD_FAILURE): Health.DOWN,
    (Health.DOWN, Signal.PROBE): Health.HALF_OPEN,
    (Health.HALF_OPEN, Signal.SUCCESS): Health.UP,
    (Health.HALF_OPEN, Signal.SOFT_FAILURE): Health.DOWN,
    (Health.HALF_OPEN, Signal.LIMIT): Health.DOWN,
    (Health.HALF_OPEN, Signal.HARD_FAILURE): Health.DOWN,
}
"""Every transition; a pair that is not here changes nothing."""


def step(breaker: Breaker, signal: Signal, now: float, rng: Rng, cause: str | None = None, *, watched: bool = False) -> Breaker:
    """The breaker after `signal`. Opens for 0.5 * 2^n seconds up to 5, jittered to 75-100 % of that.

    A failure while it is already open leaves the open time as it is, unless that time is over: then it opens anew, longer.
    `watched`: a monitor looks at the node itself, so that soft failures, however many, are a reason to doubt and no verdict.
    """
    soft = breaker.soft_failures
    if signal is Signal.SOFT_FAILURE:
        soft += 1
        if soft >= SOFT_LIMIT and not watched:
            signal = Signal.LIMIT
    after = TABLE.get((breaker.health, signal))
    if after is None:
        return breaker
    if after is Health.UP:
        return Breaker()
    if after is not Health.DOWN:
        return replace(breaker, health=after, soft_failures=soft, cause=cause or breaker.cause)
    if breaker.health is Health.DOWN and now < breaker.retry_at:
        return replace(breaker, cause=cause or breaker.cause)
    open_for = min(OPEN_FIRST * 2.0 ** min(breaker.openings, 10), OPEN_MAX) * (0.75 + 0.25 * rng.random())
    return Breaker(Health.DOWN, 0, breaker.openings + 1, now + open_for, cause or breaker.cause)


def login_signal(kind: FailureKind) -> Signal | None:
    """What a failed *login* says about the node; `None`: nothing. A server that is full or refuses a password is up."""
    if kind in HARD:
        return Signal.HARD_FAILURE
    if kind in REFUSED:
        return Signal.SUCCESS
    return Signal.SOFT_FAILURE if kind in SOFT else None


def avoid_for(kind: FailureKind) -> float:
    """For how many seconds a failed login puts its node to the end of the order."""
    return AVOID.get(kind, 0.0)
