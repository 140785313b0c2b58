"""What a failure in a transaction allows: (meaning, phase) -> action, as a table; then how often, how soon, how much in all.

Pure: the random source is an argument, and so is the time. Rule: what may have been committed is never run again by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Protocol

from ..failure import FailureKind

__all__ = ["TABLE", "Action", "Phase", "RetryBudget", "Rng", "action", "pause", "refusal"]

PAUSE_FIRST, PAUSE_MAX = 0.05, 1.0
"""Seconds: before a second run a random part of 0.05, then of 0.1, 0.2, ... 1 (full jitter, so that those who met once do not
meet again; https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)."""
BEGIN_PAUSE_MAX = 0.2
"""Seconds: a BEGIN costs the servers little, and those who wait for a new primary should meet it soon."""
RESERVE = 200.0
"""Tokens that a budget starts with, and holds at most: a node with all its leases may die at once, more than once."""
DEPOSIT = 1.0
"""Tokens per first run: in the long run retries at most double the load, however many attempts a call may make."""


class Rng(Protocol):
    """The part of `random.Random` that is used."""

    def random(self) -> float:
        """A float in [0, 1)."""
        ...


class Phase(Enum):
    """How far a unit of work had come when it failed."""

    BEGINNING = auto()
    """Nothing of the user's was sent: the BEGIN failed."""
    WORKING = auto()
    """In its transaction, COMMIT not sent."""
    COMMITTING = auto()
    """COMMIT was sent."""


class Action(Enum):
    """What may be done about it."""

    SURFACE = auto()
    """Nothing: the caller gets the exception."""
    AGAIN = auto()
    """It was rolled back and no node is to blame: again, on any node, after a pause."""
    ELSEWHERE = auto()
    """The node is at fault: again, rather on another one; the first time without a pause."""
    RECONNECT = auto()
    """Only this connection was bad, and nothing was sent on it: another one, at once."""
    SAME_CONNECTION = auto()
    """The connection has dropped what was stale: again on it, at once."""
    UNKNOWN = auto()
    """It may have been committed."""


_S, _A, _E, _R, _C, _U = Action
TABLE: Mapping[FailureKind, tuple[Action, Action, Action]] = {
    #                                BEGINNING, WORKING, COMMITTING
    FailureKind.CONFIGURATION: (_S, _S, _S),
    FailureKind.OVERLOADED: (_E, _E, _U),
    FailureKind.HOST_BLOCKED: (_E, _E, _U),
    FailureKind.UNREACHABLE: (_E, _E, _U),
    FailureKind.NOT_READY: (_E, _E, _U),
    FailureKind.TIMEOUT: (_E, _S, _U),  # in mid-unit it is the user's own limit (asyncpg's command_timeout)
    FailureKind.SESSION_LOST: (_E, _E, _U),
    FailureKind.IDLE_CLOSED: (_R, _A, _A),  # the server hung up before it read the COMMIT
    FailureKind.FOUND_CLOSED: (_R, _E, _E),  # the COMMIT was never sent
    FailureKind.ROLE_CHANGED: (_E, _E, _E),  # the COMMIT was refused
    FailureKind.ROLLED_BACK: (_A, _A, _A),
    FailureKind.TRANSACTION_ENDED: (_A, _A, _A),
    FailureKind.LOCK_TIMEOUT: (_E, _A, _U),  # of BEGIN: wsrep_sync_wait on a node that has fallen behind
    FailureKind.INTERRUPTED: (_S, _S, _U),
    FailureKind.STALE_PLAN: (_C, _C, _U),
    FailureKind.OUTCOME_UNKNOWN: (_E, _E, _U),
    FailureKind.OTHER: (_S, _S, _S),  # of COMMIT: a deferred constraint, say
}
"""design.md's table of failures, by their meaning."""


def action(kind: FailureKind, phase: Phase, *, readonly: bool = False, lost: bool = False) -> Action:
    """What a failure of that meaning allows in that phase.

    `readonly`: the transaction itself takes no writes, so that a refused one is the unit's fault and not the node's. `lost`: the
    connection is closed; a COMMIT that ended so was not answered, whatever the exception.
    """
    if readonly and kind is FailureKind.ROLE_CHANGED and phase is Phase.WORKING:
        return Action.SURFACE
    found = TABLE[kind][phase.value - 1]
    if found is Action.SURFACE and lost and phase is Phase.COMMITTING:
        return Action.UNKNOWN
    return found


def pause(what: Action, failures: int, rng: Rng, phase: Phase = Phase.WORKING) -> float:
    """Seconds to wait before the next run, after so many failures (1: the first)."""
    if what in (Action.RECONNECT, Action.SAME_CONNECTION) or (what is Action.ELSEWHERE and failures == 1):
        return 0.0
    longest = BEGIN_PAUSE_MAX if phase is Phase.BEGINNING else PAUSE_MAX
    return rng.random() * min(PAUSE_FIRST * 2.0 ** min(failures - 1, 10), longest)


class RetryBudget:
    """Tokens that retries are paid from, so that a cluster in trouble is not given the rest by its clients' retries."""

    __slots__ = ("tokens",)

    def __init__(self, tokens: float = RESERVE) -> None:
        self.tokens = tokens

    def deposit(self) -> None:
        """A first run."""
        self.tokens = min(self.tokens + DEPOSIT, RESERVE)

    def withdraw(self) -> bool:
        """Pay for a retry, if there is enough."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def __repr__(self) -> str:
        return f"<RetryBudget {self.tokens:g} of {RESERVE:g}>"


def refusal(runs: int, attempts: int, resume_at: float, deadline: float, budget: RetryBudget) -> str | None:
    """Why a unit that has run so often may not run again at `resume_at`; `None`: it may, and is paid for."""
    if runs >= attempts:
        return f"attempts={attempts} allows no further run"
    if resume_at >= deadline:
        return "the time-out leaves no time for a further run"
    if not budget.withdraw():
        return "the retry budget is spent: of late there were more retries than units of work"
    return None
