"""Which node a pooled connection is taken from, and where the next one is opened; pure.

The cost of a node is its round trip x (connections in use there + 1) / weight. Nodes within 1.5 x (or 0.3 ms) of the nearest
count as equal, and the one to take is the cheaper of two that are drawn among them (power of two choices): "the fastest" would
be everybody's choice at once. A farther node serves only while it costs less than any of the near ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from .health import Rng
from .ledger import Book, Slot
from .ranking import Fit
from .roundtrip import equal_up_to

__all__ = ["Offer", "Serving", "arrange", "next_to_open", "pick", "uneven", "worth"]

UNKNOWN = 0.001
"""Seconds that a round trip is taken for while none is known of any node."""
_TOLERANCE = 1e-9
"""Shares are fractions."""


@dataclass(slots=True)
class Offer:
    """A node that may serve, and what is known of it."""

    book: Book
    fit: Fit = Fit.YES
    round_trip: float | None = None
    weight: float = 1.0
    last_resort: bool = False
    """It serves, but is better left alone: a donor, or one that was full a moment ago."""
    unit: float = field(default=0.0)
    """The cost of one more use, without what is in use already; set by `arrange`."""

    @property
    def cost(self) -> float:
        """What one more use costs now."""
        return self.unit * (self.book.busy + 1)


@dataclass(frozen=True, slots=True)
class Serving:
    """The nodes that serve one want: those that count as equal to the nearest, and the farther ones."""

    near: Sequence[Offer] = ()
    far: Sequence[Offer] = ()

    @property
    def books(self) -> list[Book]:
        """Of all of them."""
        return [offer.book for offer in (*self.near, *self.far)]


def arrange(offers: Iterable[Offer]) -> Serving:
    """Divide what serves into near and far. Fallbacks, and last resorts, only where there is nothing better."""
    fit = [offer for offer in offers if offer.fit is not Fit.NO and not offer.book.closed]
    if not fit:
        return Serving()
    best = min((offer.last_resort, offer.fit) for offer in fit)
    chosen = [offer for offer in fit if (offer.last_resort, offer.fit) == best]
    known = [offer.round_trip for offer in chosen if offer.round_trip is not None]
    low = min(known, default=UNKNOWN)
    limit = equal_up_to(low)
    near: list[Offer] = []
    far: list[Offer] = []
    for offer in chosen:
        is_near = offer.round_trip is None or offer.round_trip <= limit
        offer.unit = (low if is_near or offer.round_trip is None else offer.round_trip) / offer.weight
        (near if is_near else far).append(offer)
    return Serving(near, far)


def pick(serving: Serving, rng: Rng, waiting: int = 0, avoid: Collection[str] = ()) -> Book | None:
    """The node to take an idle connection from; `None`: none has one that is worth taking now.

    `waiting`: how many wait for the near ones already. `avoid`: rather no node of these.
    """
    near = serving.near
    if near and not avoid:
        one, other, count = near[0], near[-1], len(near)
        if count > 2:
            index = int(rng.random() * count)
            one, other = near[index], near[(index + 1 + int(rng.random() * (count - 1))) % count]
        if one.book.idle and other.book.idle:  # nearly always
            return one.book if one is other or _cost_and_turn(one) < _cost_and_turn(other) else other.book
    ready = [offer for offer in near if offer.book.idle]
    if avoid:
        ready = [offer for offer in ready if offer.book.name not in avoid]
    if not ready and serving.far:
        limit = min((offer.unit * (offer.book.busy + waiting + 1) for offer in near), default=float("inf"))
        ready = [offer for offer in serving.far if offer.book.idle and offer.cost < limit and offer.book.name not in avoid]
    return _cheapest(ready).book if ready else None


def next_to_open(offers: Sequence[Offer], avoid: Collection[str] = ()) -> Book:
    """Of these nodes, the one to open the next connection on: an even spread by weight; `avoid`: rather none of these."""
    return min(offers, key=lambda offer: (offer.book.name in avoid, offer.unit * (offer.book.size + 1), offer.book.chosen)).book


def _cheapest(offers: Sequence[Offer]) -> Offer:
    return min(offers, key=_cost_and_turn)


def _cost_and_turn(offer: Offer) -> tuple[float, int]:
    book = offer.book
    return (offer.unit * (len(book.leased) + len(book.returning) + 1), book.chosen)


def worth(serving: Serving, book: Book, waiting: int, queue: float = 0.0, *, in_hand: bool = False) -> bool:
    """Whether somebody who waits is better served by a free connection there than by waiting for a near one.

    `queue`: the seconds in which a near one is expected to come free for the last of those who wait. `in_hand`: the free one is
    counted among those in use.
    """
    for offer in serving.near:
        if offer.book is book:
            return True
    limit = min((offer.unit * (offer.book.busy + waiting + 1) for offer in serving.near), default=float("inf"))
    return any(offer.book is book and offer.cost - offer.unit * in_hand < max(limit, queue) for offer in serving.far)


def uneven(serving: Serving) -> tuple[Book, Slot] | None:
    """Where a connection is missing for an even spread over the near nodes, and the idle one that is too many elsewhere.

    The node farthest below its share gets one from the one farthest above its own, as long as that brings both nearer to it.
    """
    if len(serving.near) < 2:
        return None
    total = sum(offer.book.size for offer in serving.near)
    weights = sum(offer.weight for offer in serving.near)
    over = {id(offer.book): offer.book.size - total * offer.weight / weights for offer in serving.near}
    poor = min(serving.near, key=lambda offer: over[id(offer.book)]).book
    rich = max((offer.book for offer in serving.near if offer.book.idle), key=lambda book: over[id(book)], default=None)
    if rich is None or over[id(rich)] - over[id(poor)] <= 1.0 + _TOLERANCE:
        return None
    return poor, rich.idle[0]
