"""Which nodes serve a want now, by what is known of them. Kept for a moment, as every lease asks; forgotten at every change."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from ..node import Wants
from ..policy.leasing import Offer, Serving, arrange
from ..policy.ledger import Book, Ledger
from ..policy.ranking import Fit
from .member import Member
from .registry import Registry

__all__ = ["Supply"]

C = TypeVar("C")

LOOK_AGAIN = 0.02
"""For so many seconds the nodes that serve a want are kept; a change of health, role or lag is seen at once."""
OF_LATE = 60.0
"""What nobody has asked for in so many seconds, connections are not spread for."""


class _Known(NamedTuple):
    until: float
    serving: Serving


class Supply(Generic[C]):
    """The nodes of one cluster, as a pool sees them."""

    def __init__(self, registry: Registry[C], ledger: Ledger[Wants]) -> None:
        self._registry = registry
        self._ledger = ledger
        self._known: dict[Wants, _Known] = {}
        self._asked: dict[Wants, float] = {}
        """When each want was asked for last, within `LOOK_AGAIN`."""
        self._doubted: dict[str, float] = {}
        """Until when a node whose login has just failed serves only where no other does: nobody waits for a node that may well
        fail again while another one would let him in."""

    def asked(self, wants: Wants, now: float) -> Serving:
        """The nodes for somebody who asks for a lease."""
        known = self._known.get(wants)
        if known is not None and now < known.until:
            return known.serving
        self._asked[wants] = now
        return self.of(wants, now)

    def of(self, wants: Wants, now: float) -> Serving:
        """The nodes that serve a want, by what is known of them."""
        known = self._known.get(wants)
        if known is not None and now < known.until:
            return known.serving
        serving = arrange(
            Offer(
                self._ledger.books[member.name],
                fit,
                member.round_trip.estimate(now),
                member.weight,
                last_resort=now < max(member.avoid_until, self._doubted.get(member.name, 0.0)),
            )
            for member in self._registry.members
            if member.usable and (fit := self._registry.standing.serves(member, wants, now)) is not Fit.NO
        )
        self._known[wants] = _Known(now + LOOK_AGAIN, serving)
        return serving

    def anybody(self) -> Serving:
        """All nodes, whatever is known of them: never fail from memory alone."""
        return arrange(Offer(self._ledger.books[member.name], weight=member.weight) for member in self._registry.members)

    def of_late(self, now: float) -> list[Serving]:
        """The nodes of every want that was asked for of late; the others are forgotten."""
        self._asked = {wants: when for wants, when in self._asked.items() if now - when < OF_LATE}
        self._known = {wants: known for wants, known in self._known.items() if wants in self._asked}
        return [self.of(wants, now) for wants in self._asked]

    def member(self, book: Book) -> Member[C]:
        """The node of these books."""
        return self._registry.get(book.name)

    def doubt(self, name: str, until: float) -> None:
        """A login has failed there by the node's own doing."""
        self._doubted[name] = until
        self.forget()

    def trust(self, name: str) -> None:
        """No longer."""
        if self._doubted.pop(name, None) is not None:
            self.forget()

    def forget(self) -> None:
        """Something is known anew of a node."""
        self._known.clear()
