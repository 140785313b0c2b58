"""The race of one connect, as a pure machine: what happened goes in, which logins to start comes out.

Cold, every candidate starts at once. Warm, one starts, and the next

- at once when one fails,
- after the hedge delay, paid from a budget, so that hedges stay below 5 % of the connects,
- after the failover delay, budget or not; the second time it fires, all that are left start together.

Neither delay runs out against a node that has completed any login since: it is loaded, not dead. (RFC 8305 is the ancestor:
one attempt after another with a delay between; the delay here is the node's own.) All times are seconds on the caller's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from statistics import median
from typing import NamedTuple

from .latency import LoginLatency

__all__ = ["HEDGE_MIN", "Delays", "HedgeBudget", "Race", "Reason", "Start", "delays"]

HEDGE_MIN, HEDGE_MAX = 0.010, 0.250
FAILOVER = 0.250
"""So much silence is waited for at most before the next login starts, whatever the budget."""


DELAY_MAX = 2.0
"""Our own load, or a node that is always slow to log in, lengthens a delay to this at most."""
_TOLERANCE = 1e-6
"""A timer may fire a clock tick early."""


class Reason(StrEnum):
    """Why a login was started."""

    FIRST = "first"
    ALL = "all"
    """Together with all others: nothing is known of any, or `stagger=0`."""
    FAILURE = "failure"
    HEDGE = "hedge"
    FAILOVER = "failover"
    POOL = "pool"
    """For the pool."""
    PROBE = "probe"
    """In the background, for nobody: a node that was never measured, or one whose breaker may close again."""


class Start(NamedTuple):
    """Start a login on this node."""

    name: str
    reason: Reason


class Delays(NamedTuple):
    """How long a node may be silent before its hedge, and before the failover."""

    hedge: float
    failover: float


def delays(own: LoginLatency, others: Iterable[LoginLatency], in_flight: int, now: float) -> Delays:
    """The delays for a login on the node whose history is `own`, with `in_flight` other logins of ours under way there.

    Hedge: 2 x p95, between 10 and 250 ms; while this node has too few samples, 2 x the greater of its estimate and the median
    node's p95; 250 ms while all have. Failover: 250 ms, or 2 x p95 where logins always take longer than that. Both grow with our
    own logins under way: twenty at once each take longer than any of them alone.
    """
    p95, ours = own.p95(now), in_flight + 1
    unknown = False
    if p95 is None:
        known = [other for latency in others if (other := latency.p95(now)) is not None]
        unknown = not known
        p95 = max(median(known) if known else 0.0, own.estimate(now) or 0.0)
    usual = max(2.0 * p95, HEDGE_MIN)
    hedge = HEDGE_MAX if unknown else min(usual, HEDGE_MAX)
    failover = min(max(FAILOVER, usual * ours), DELAY_MAX)
    return Delays(min(hedge * ours, failover), failover)


class HedgeBudget:
    """Tokens for hedges: every connect pays in a part of one, every hedge takes one."""

    __slots__ = ("tokens",)

    RATE = 0.05
    MOST = 5.0

    def __init__(self) -> None:
        self.tokens = 1.0

    def deposit(self) -> None:
        """One connect began."""
        self.tokens = min(self.MOST, self.tokens + self.RATE)

    def take(self) -> bool:
        """Pay for one hedge; False when the budget is spent."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


class Race:
    """Which login starts when, for one connect. Its methods return the logins to start now.

    `rest` is asked, when it is first needed, for what comes after `first`: the order of the others, and the reserve. The login
    watched is the one started last of those under way; its delays are asked for anew each time, because they grow with the
    logins under way on its node.
    """

    __slots__ = ("_delays_of", "_failovers", "_first", "_pending", "_refused", "_reserve", "_rest", "_running")

    def __init__(
        self,
        first: Sequence[str],
        rest: Callable[[], tuple[Iterable[str], Iterable[str]]] | None,
        delays_of: Callable[[str], Delays],
    ) -> None:
        self._first = first
        self._rest = rest
        self._delays_of = delays_of
        self._pending: list[str] = []
        self._reserve: list[str] = []
        self._running: list[str] = []
        self._refused: str | None = None
        self._failovers = 0

    @property
    def over(self) -> bool:
        """Whether nothing is under way and nothing is left to start."""
        return not (self._running or self.waiting)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Nodes that have not been started."""
        self._ask_for_rest()
        return (*self._pending, *self._reserve)

    @property
    def hopes(self) -> tuple[str, ...]:
        """Nodes under way and those to come, without the reserve: who holds a connection waits for no other."""
        return (*self._running, *self._pending)

    def begin(self) -> list[Start]:
        """The first login, or all of them when nothing is known of any."""
        self._running.extend(self._first)
        reason = Reason.FIRST if len(self._first) == 1 else Reason.ALL
        return [Start(name, reason) for name in self._first]

    def failed(self, name: str) -> list[Start]:
        """A login ended without a connection: the next starts at once, the reserve when nothing else is under way."""
        self._ask_for_rest()
        if name in self._running:
            self._running.remove(name)
        if self._pending:
            return self._start(Reason.FAILURE, self._pending, all_of_them=False)
        if not self._running:
            return self._start(Reason.FAILURE, self._reserve)
        return []

    def held(self, name: str) -> list[Start]:
        """A login gave a connection that is kept in case nothing better comes; with none under way the next starts at once."""
        self._ask_for_rest()
        self._running.remove(name)
        return [] if self._running else self._start(Reason.FAILURE, self._pending, all_of_them=False)

    def wake_at(self, quiet_since: Callable[[str], float]) -> float | None:
        """When to call `tick` next if nothing happens; `None`: never. `quiet_since`: when a node was last heard of."""
        watched = self._watched()
        if watched is None:
            return None
        hedge, failover = self._delays_of(watched)
        return quiet_since(watched) + (hedge if self._hedge_possible(watched) else failover)

    def tick(self, now: float, quiet_since: Callable[[str], float], budget: HedgeBudget) -> list[Start]:
        """Time has passed: hedge, or fail over, if the watched login has been silent for long enough."""
        watched = self._watched()
        if watched is None:
            return []
        hedge, failover = self._delays_of(watched)
        silence = now - quiet_since(watched) + _TOLERANCE
        if silence < hedge:
            return []
        self._ask_for_rest()
        if silence >= failover:
            self._failovers += 1
            if self._failovers == 1 and self._pending:
                return self._start(Reason.FAILOVER, self._pending, all_of_them=False)
            return [*self._start(Reason.FAILOVER, self._pending), *self._start(Reason.FAILOVER, self._reserve)]
        if self._hedge_possible(watched):
            if budget.take():
                return self._start(Reason.HEDGE, self._pending, all_of_them=False)
            self._refused = watched
        return []

    def _hedge_possible(self, watched: str) -> bool:
        return bool(self._pending or self._rest) and self._refused != watched

    def _watched(self) -> str | None:
        return self._running[-1] if self._running and (self._pending or self._reserve or self._rest) else None

    def _ask_for_rest(self) -> None:
        if self._rest is not None:
            pending, reserve = self._rest()
            self._rest = None
            self._pending = [name for name in pending if name not in self._first]
            self._reserve = [name for name in reserve if name not in self._first]

    def _start(self, reason: Reason, names: list[str], *, all_of_them: bool = True) -> list[Start]:
        started = names[:] if all_of_them else names[:1]
        del names[: len(started)]
        self._running.extend(started)
        return [Start(name, reason) for name in started]
