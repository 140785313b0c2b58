"""Which nodes may serve a target, and in which order to try them; pure.

The order is by cost = login latency x (connections handed out and open + logins in flight + 1) / weight. Latencies within
1.5 x of each other count as equal, because two noisy averages of equal nodes never are; ties go to the node chosen least
recently.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ..node import Role, Target
from .health import Rng

__all__ = ["Candidate", "Fit", "Order", "fit", "order"]

BAND = 1.5
"""Latencies within this factor of each other count as equal."""


class Fit(IntEnum):
    """How well a role serves a target; a smaller one is better."""

    YES = 0
    FALLBACK = 1
    """Only when nothing better answers: the primary for `prefer-standby`."""
    NO = 2


_WRITABLE = frozenset({Role.PRIMARY, Role.PEER})
_ACCEPTED = {
    Target.ANY: frozenset(Role),
    Target.READ_WRITE: _WRITABLE,
    Target.PRIMARY: _WRITABLE | {Role.READ_ONLY},
    Target.PREFER_STANDBY: frozenset({Role.STANDBY, Role.PEER}),
    Target.STANDBY: frozenset({Role.STANDBY}),
    Target.READ_ONLY: frozenset({Role.STANDBY, Role.READ_ONLY}),
}
"""As libpq's target_session_attrs: `primary` asks only for no standby, `read-write` for one that takes writes."""


def fit(role: Role, target: Target) -> Fit:
    """Whether a node of that role serves the target. An unknown role may be anything: `Fit.YES`, its login tells."""
    if role is Role.UNKNOWN or role in _ACCEPTED[target]:
        return Fit.YES
    return Fit.FALLBACK if target is Target.PREFER_STANDBY else Fit.NO


class Candidate(Protocol):
    """What the order looks at."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> Role: ...
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

    def login_estimate(self, now: float) -> float | None:
        """Expected login time in seconds, `None` when unknown."""
        ...

    def is_open(self) -> bool:
        """Whether its breaker is open."""
        ...

    def is_avoided(self, now: float) -> bool:
        """Whether it belongs at the end of the order for now (full, or misconfigured)."""
        ...

    def is_congested(self) -> bool:
        """Whether it has as many unfinished lost logins as it may."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """What one connect tries. `cold`: nothing is known of any of `first`, so that only a race of all tells."""

    first: tuple[str, ...]
    reserve: tuple[str, ...]
    """Tried when nothing of `first` is left: never fail from memory alone."""
    cold: bool


def order(candidates: Iterable[Candidate], target: Target, now: float, rng: Rng) -> Order:
    """The order of one connect; see the module's head.

    `first` holds the fit nodes with a closed breaker: those that fit fully before fallbacks, the avoided after the others, the
    unmeasured last. With none, all are in `first`, to be tried at once.
    """
    tiers: dict[tuple[Fit, bool], list[tuple[float, Candidate]]] = {}
    unmeasured: list[str] = []
    reserve: list[str] = []
    for candidate in candidates:
        fitness = fit(candidate.role, target)
        if fitness is Fit.NO or candidate.is_open() or candidate.is_congested():
            reserve.append(candidate.name)
        elif (estimate := candidate.login_estimate(now)) is None:
            unmeasured.append(candidate.name)
        else:
            tiers.setdefault((fitness, candidate.is_avoided(now)), []).append((estimate, candidate))
    if not tiers:
        return Order(tuple(unmeasured or reserve), tuple(reserve if unmeasured else ()), cold=True)
    keys = sorted(tiers)
    names = [name for key in keys for name in _by_cost(tiers[key], rng if key is keys[0] else None)]
    return Order((*names, *unmeasured), tuple(reserve), cold=False)


def _by_cost(measured: Sequence[tuple[float, Candidate]], rng: Rng | None) -> list[str]:
    """Names by cost; with `rng`, the first by the power of two choices."""
    if len(measured) == 1:
        return [measured[0][1].name]
    keyed: list[tuple[float, int, str]] = []
    base = 0.0
    for estimate, candidate in sorted(measured, key=_estimate_of):
        if estimate > BAND * base:
            base = estimate
        keyed.append((base * (candidate.load + 1) / candidate.weight, candidate.last_chosen, candidate.name))
    if rng is None:
        return [name for *_, name in sorted(keyed)]
    one = int(rng.random() * len(keyed))
    other = (one + 1 + int(rng.random() * (len(keyed) - 1))) % len(keyed)
    best = min(keyed[one], keyed[other])
    keyed.remove(best)
    keyed.sort()
    return [best[2], *(name for *_, name in keyed)]


def _estimate_of(measured: tuple[float, Candidate]) -> float:
    return measured[0]
