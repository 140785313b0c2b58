"""Who starts a connect: asks `policy.ranking`, and keeps what is costly to look up for a moment."""

from __future__ import annotations

from typing import Generic, Literal, NamedTuple, TypeVar

from ..errors import NoNodeAvailable
from ..node import Target
from ..policy.ranking import Eligible, Order, eligible, order, pick
from .member import Member
from .race import Field
from .registry import Registry

__all__ = ["Choice", "Stagger"]

C = TypeVar("C")
Stagger = Literal["auto", 0]

MANY, LOOK_AGAIN = 8, 0.02
"""With more than so many nodes, the set to choose among is kept for so many seconds, because looking for it costs more the more
there are; whether a chosen one is still usable is looked at every time."""


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
        self._eligible_for: dict[Target, _Known[C]] = {}

    def forget(self) -> None:
        """The clock is another one."""
        self._eligible_for.clear()

    def field(self, target: Target, now: float) -> Field:
        """Who starts at once. Raises `NoNodeAvailable` when no node is registered."""
        registry = self._registry
        if not registry.members:
            raise NoNodeAvailable(f"cluster {registry.cluster!r} has no node; register one with add_node")
        if not self._all_at_once:
            few = len(registry.members) <= MANY
            picked = pick(eligible(registry.members, target, now) if few else self._kept(target, now), registry.rng)
            if picked is not None:
                return Field((picked.name,), False, False)
        first, _, cold = self.order(target, now)
        if self._all_at_once:
            return Field(first, True, False)
        return Field(first if cold else first[:1], cold, cold)

    def order(self, target: Target, now: float) -> Order:
        """All nodes, in the order in which to try them."""
        return order(self._registry.members, target, now)

    def _kept(self, target: Target, now: float) -> Eligible[Member[C]]:
        members = self._registry.members
        known = self._eligible_for.get(target)
        if known is None or known.members is not members or now >= known.until:
            known = self._eligible_for[target] = _Known(members, now + LOOK_AGAIN, eligible(members, target, now))
        return known.found
