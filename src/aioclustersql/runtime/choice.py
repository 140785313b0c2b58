"""Who starts a connect: asks `policy.ranking`, and keeps what is costly to look up for a moment."""

from __future__ import annotations

from typing import Generic, Literal, NamedTuple, TypeVar

from ..errors import NoNodeAvailable
from ..node import Target
from ..policy.ranking import Eligible, Order, eligible, order, pick, welcome
from .member import Member
from .race import Field
from .registry import Registry

__all__ = ["Choice", "Stagger"]

C = TypeVar("C")
Stagger = Literal["auto", 0]

MANY, LOOK_AGAIN = 8, 0.02
"""The nodes to choose among are kept for so many seconds, because looking for them costs: where there are more than so many, and
where all are equal, so that their loads have no say in it. The chosen one is looked at every time."""


class _Known(NamedTuple, Generic[C]):
    """Out of these members, and until then, these are eligible."""

    members: tuple[Member[C], ...]
    until: float
    found: Eligible[Member[C]]


class Choice(Generic[C]):
    """The choice of nodes for the connects of one cluster."""

    def __init__(self, registry: Registry[C], stagger: Stagger) -> None:
        self._registry = registry
        self._all_at_once = stagger == 0
        self._known: dict[Target, _Known[C]] = {}

    def forget(self) -> None:
        """The clock is another one."""
        self._known.clear()

    def field(self, target: Target, now: float) -> Field:
        """Who starts at once. Raises `NoNodeAvailable` when no node is registered."""
        registry = self._registry
        if not registry.candidates:
            state = "is draining all its nodes" if registry.members else "has no node; register one with add_node"
            raise NoNodeAvailable(f"cluster {registry.cluster!r} {state}")
        if not self._all_at_once:
            picked = self._pick(target, now)
            if picked is not None:
                return Field((picked.name,), False, False)
        first, _, cold, _ = self.order(target, now)
        if self._all_at_once:
            return Field(first, True, False)
        return Field(first if cold else first[:1], cold, cold)

    def order(self, target: Target, now: float) -> Order:
        """All nodes, in the order in which to try them."""
        return order(self._registry.candidates, target, now)

    def _pick(self, target: Target, now: float) -> Member[C] | None:
        members, rng = self._registry.candidates, self._registry.rng
        known = self._known.get(target)
        if known is not None and known.members is members and now < known.until:
            picked = pick(known.found, rng)
            if picked is not None and welcome(picked, target, now):
                return picked
        found = eligible(members, target, now)
        keep = len(members) > MANY or len(found) == len(members)
        self._known[target] = _Known(members, now + LOOK_AGAIN if keep else now, found)
        return pick(found, rng)
