"""Which nodes may serve a target, and in which order to try them; pure.

The order is by cost = login latency x (connections handed out and open + logins in flight + 1) / weight. Latencies within
1.5 x (or 2 ms) of each other count as equal, because two noisy averages of equal nodes never are; ties go to the node chosen
least recently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from math import inf
from typing import NamedTuple, Protocol, TypeVar

from ..node import Role, Target, Wants
from .health import Rng

__all__ = ["Candidate", "Eligible", "Fit", "Fits", "Order", "eligible", "fit", "fits", "lags", "order", "pick", "welcome"]

BAND, NOISE = 1.5, 0.002
"""Latencies within this factor, or this many seconds, of each other count as equal: less is the scheduler's, not the node's."""
UNDER_WAY = 2.0
"""A node about to answer for the first time counts as so many times as far as the nearest."""
ALTERNATIVES = 2
"""A connect that may hedge has so many nodes to try, congested ones when there are no others."""
_DRAWS = 3


class Fit(IntEnum):
    """How well a role serves a target; a smaller one is better."""

    YES = 0
    FALLBACK = 1
    """Only when nothing better answers: the primary for `prefer-standby`."""
    NO = 2


_WRITABLE = frozenset({Role.UNKNOWN, Role.PRIMARY, Role.PEER})
_ACCEPTED = {
    Target.ANY: frozenset(Role),
    Target.READ_WRITE: _WRITABLE,
    Target.PRIMARY: _WRITABLE,
    Target.PREFER_STANDBY: frozenset({Role.UNKNOWN, Role.STANDBY, Role.PEER}),
    Target.STANDBY: frozenset({Role.UNKNOWN, Role.STANDBY}),
    Target.READ_ONLY: frozenset({Role.UNKNOWN, Role.STANDBY, Role.READ_ONLY}),
}
"""As libpq's target_session_attrs, but that `primary` is `read-write`: a primary that takes no writes is of no use as one."""


def fit(role: Role, target: Target) -> Fit:
    """Whether a node of that role serves the target. An unknown role may be anything: `Fit.YES`, its login tells."""
    if role in _ACCEPTED[target]:
        return Fit.YES
    return Fit.FALLBACK if target is Target.PREFER_STANDBY else Fit.NO


Fits = Mapping[Target, Fit]
"""How well one node serves each target."""


def fits(role: Role, *, writer: bool | None = None, superseded: bool = False) -> Fits:
    """How well a node serves each target, its place among the others considered.

    writer: where only some of the nodes that could are to take writes, whether it is one of them (`None`: all may).
    superseded: it says that it is the primary, and is not the true one.
    """
    if superseded:
        return {target: Fit.YES if target is Target.ANY else Fit.NO for target in Target}
    found = {target: fit(role, target) for target in Target}
    if writer is None:
        return found
    if role is Role.UNKNOWN:
        return found if writer else {**found, Target.READ_WRITE: Fit.NO, Target.PRIMARY: Fit.NO}
    if role in _WRITABLE:
        shown = Role.PRIMARY if writer else Role.STANDBY
        return {**{target: fit(shown, target) for target in Target}, Target.READ_ONLY: Fit.NO}
    return found


def lags(wants: Wants, lag: float | None, lag_bytes: int | None) -> bool:
    """Whether a standby is farther behind than is wanted. Where a limit is set, not to know is too far."""
    too_late = wants.max_lag != inf and (lag is None or lag > wants.max_lag)
    return too_late or (wants.max_lag_bytes != inf and (lag_bytes is None or lag_bytes > wants.max_lag_bytes))


class Candidate(Protocol):
    """What the order looks at."""

    @property
    def name(self) -> str: ...
    @property
    def fits(self) -> Fits:
        """How well it serves each target."""
        ...

    @property
    def weight(self) -> float: ...
    @property
    def load(self) -> int:
        """Connections handed out and open, and logins in flight."""
        ...

    @property
    def last_chosen(self) -> int:
        """A number that grows with every choice; the smallest was chosen least recently."""
        ...

    @property
    def usable(self) -> bool:
        """Whether its breaker is closed."""
        ...

    @property
    def avoid_until(self) -> float:
        """Until then it belongs at the end of the order (full, or misconfigured)."""
        ...

    @property
    def congested(self) -> bool:
        """Whether it has as many unfinished lost logins as it may."""
        ...

    @property
    def under_way_since(self) -> float | None:
        """When its oldest login under way began, if there is one."""
        ...

    def login_estimate(self, now: float) -> float | None:
        """Expected login time in seconds, `None` when unknown."""
        ...


X = TypeVar("X", bound=Candidate)


Eligible = Sequence[tuple[float, X]]
"""Nodes with their estimates, in seconds."""


class Order(NamedTuple):
    """What one connect tries. `cold`: nothing is known of any of `first`, so that only a race of all tells."""

    first: tuple[str, ...]
    reserve: tuple[str, ...]
    """Tried when nothing of `first` is left: never fail from memory alone."""
    cold: bool
    congested: tuple[str, ...] = ()
    """Measured and fit, but with as many unfinished lost logins as they may have."""

    def rest(self, *, hedged: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What the logins after the first go to, and the reserve.

        A `hedged` connect has the congested among the former while there are not two others: where many connects follow each
        other, a few logins that hang on every node must not leave the next one to hang without a hedge.
        """
        if hedged and len(self.first) < ALTERNATIVES:
            return (*self.first, *self.congested), self.reserve
        return self.first, (*self.congested, *self.reserve)


def welcome(candidate: Candidate, target: Target, now: float) -> bool:
    """Whether a warm connect may start there, if it is measured: it is closed, fit, not avoided and not congested."""
    return candidate.usable and candidate.fits[target] is Fit.YES and now >= candidate.avoid_until and not candidate.congested


def eligible(candidates: Sequence[X], target: Target, now: float) -> Eligible[X]:
    """The nodes among which a warm connect chooses, with their estimates: the nearest, all that are equal to it, and farther ones
    that are so much less loaded that they cost less than any of these. Empty when none is fit, measured, closed and not avoided.

    A node whose first login is under way, and not yet for twice as long as the nearest one's takes, counts as one twice as far:
    else all callers of a cold cluster would go to the node that answered first.
    """
    plain: list[tuple[float, X]] = []
    unmeasured: list[X] = []
    low, high = inf, 0.0
    for candidate in candidates:
        if welcome(candidate, target, now):
            estimate = candidate.login_estimate(now)
            if estimate is None:
                unmeasured.append(candidate)
            else:
                plain.append((estimate, candidate))
                low, high = min(low, estimate), max(high, estimate)
    limit = _equal_up_to(low)
    if not plain or (high <= limit and not unmeasured):
        return plain
    near = [each for each in plain if each[0] <= limit]
    far = [each for each in plain if each[0] > limit]
    far += [(UNDER_WAY * low, each) for each in unmeasured if _about_to_answer(each, now, low)]
    if not far:
        return near
    cheapest = min(low * (candidate.load + 1) / candidate.weight for _, candidate in near)
    return near + [each for each in far if each[0] * (each[1].load + 1) / each[1].weight < cheapest]


def pick(among: Eligible[X], rng: Rng) -> X | None:
    """The node of a warm connect, by the power of two choices among the eligible.

    `None` when a few draws found no two whose breaker is still closed: then `order` knows.
    """
    count = len(among)
    if count == 1:
        return among[0][1] if among[0][1].usable else None
    for _ in range(_DRAWS if count else 0):
        index = int(rng.random() * count)
        first, one = among[index]
        second, other = among[(index + 1 + int(rng.random() * (count - 1))) % count]
        if one.usable and other.usable:
            low = min(first, second)
            limit = _equal_up_to(low)
            return min(_keyed(one, low if first <= limit else first), _keyed(other, low if second <= limit else second))[3]
    return None


def order(candidates: Iterable[X], target: Target, now: float) -> Order:
    """The order of one connect; see the module's head.

    `first` holds the fit nodes with a closed breaker: those that fit fully before fallbacks, the avoided after the others, the
    unmeasured last. With none, the congested are, and without these all, to be tried at once.
    """
    tiers: dict[tuple[Fit, bool], list[tuple[float, X]]] = {}
    crowd: list[tuple[float, X]] = []
    unmeasured: list[str] = []
    reserve: list[str] = []
    for candidate in candidates:
        fitness = candidate.fits[target]
        estimate = candidate.login_estimate(now)
        if fitness is Fit.YES and candidate.usable and candidate.congested and estimate is not None:
            crowd.append((estimate, candidate))
        elif fitness is Fit.NO or not candidate.usable or candidate.congested:
            reserve.append(candidate.name)
        elif estimate is None:
            unmeasured.append(candidate.name)
        else:
            tiers.setdefault((fitness, now < candidate.avoid_until), []).append((estimate, candidate))
    congested = tuple(_by_cost(crowd)) if crowd else ()
    if not tiers:
        if congested and not unmeasured:
            return Order(congested, tuple(reserve), cold=False)
        return Order(tuple(unmeasured or reserve), tuple(reserve if unmeasured else ()), cold=True, congested=congested)
    names = [name for key in sorted(tiers) for name in _by_cost(tiers[key])]
    return Order((*names, *unmeasured), tuple(reserve), cold=False, congested=congested)


def _about_to_answer(candidate: Candidate, now: float, low: float) -> bool:
    since = candidate.under_way_since
    return since is not None and now - since <= UNDER_WAY * low + NOISE


def _keyed(candidate: X, estimate: float) -> tuple[float, int, str, X]:
    """Its place in the order; `estimate` is the smallest of those that it counts as equal to."""
    return (estimate * (candidate.load + 1) / candidate.weight, candidate.last_chosen, candidate.name, candidate)


def _equal_up_to(low: float) -> float:
    """The greatest estimate that counts as equal to the smallest."""
    return max(BAND * low, low + NOISE)


def _by_cost(measured: list[tuple[float, X]]) -> list[str]:
    if len(measured) == 1:
        return [measured[0][1].name]
    measured.sort(key=_estimate_of)
    keyed: list[tuple[float, int, str, X]] = []
    low = measured[0][0]
    for estimate, candidate in measured:
        low = low if estimate <= _equal_up_to(low) else estimate
        keyed.append(_keyed(candidate, low))
    return [name for _, _, name, _ in sorted(keyed)]


def _estimate_of(measured: tuple[float, Candidate]) -> float:
    return measured[0]
