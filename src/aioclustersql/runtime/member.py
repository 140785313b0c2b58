"""A registered node and all that is known of it while the cluster lives. State only; `registry` changes it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..drivers.base import Endpoint
from ..node import Node, Role
from ..policy.health import Breaker
from ..policy.latency import LoginLatency

if TYPE_CHECKING:
    from .attempt import Attempt

__all__ = ["MAX_STRAGGLERS", "Counters", "Member"]

C = TypeVar("C")

MAX_STRAGGLERS = 2
"""A node with so many unfinished lost logins gets no further racing login until one ends."""
_SWEEP = 32
"""Handed-out connections looked at per connect, in turn: enough to be exact for small numbers, bounded for large ones."""


class Counters:
    """What happened on one node since it was registered."""

    __slots__ = ("connections", "cut", "errors", "hedges", "logins", "losses", "wins")

    def __init__(self) -> None:
        self.logins = self.connections = self.errors = self.wins = self.losses = self.hedges = self.cut = 0


class Member(Generic[C]):
    """One node. Satisfies `policy.ranking.Candidate`."""

    def __init__(self, node: Node, endpoint: Endpoint) -> None:
        self.node = node
        self.endpoint = endpoint
        self.counters = Counters()
        self.attempts: set[Attempt[C]] = set()
        self.last_chosen = 0
        self.last_success: datetime | None = None
        self.last_error: datetime | None = None
        self.last_error_message: str | None = None
        self.secret: str | None = None
        self._issued: dict[int, weakref.ref[Any]] = {}
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget what was measured: the address is another one, or the clock is."""
        self.latency = LoginLatency()
        self.breaker = Breaker()
        self.role = Role.UNKNOWN
        self.avoid_until = 0.0
        self.heard_at = float("-inf")

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def weight(self) -> float:
        return self.node.weight

    @property
    def load(self) -> int:
        return len(self._issued) + len(self.attempts)

    @property
    def open_connections(self) -> int:
        """Connections handed out and, as far as the client side knows, open."""
        return len(self._issued)

    @property
    def stragglers(self) -> int:
        """Logins under way that nobody waits for any more."""
        return sum(1 for attempt in self.attempts if attempt.lost)

    def login_estimate(self, now: float) -> float | None:
        return self.latency.estimate(now)

    def is_open(self) -> bool:
        return not self.breaker.closed

    def is_avoided(self, now: float) -> bool:
        return now < self.avoid_until

    def is_congested(self) -> bool:
        return len(self.attempts) >= MAX_STRAGGLERS and self.stragglers >= MAX_STRAGGLERS

    def issue(self, conn: C) -> None:
        """Note a connection that now belongs to the user."""
        key = id(conn)
        issued = self._issued
        issued[key] = weakref.ref(conn, lambda _: issued.pop(key, None))

    def give_back(self, conn: C) -> None:
        """Forget a connection that was handed out."""
        self._issued.pop(id(conn), None)

    def issued(self, conn: object) -> bool:
        """Whether this very connection was handed out from here."""
        ref = self._issued.get(id(conn))
        return ref is not None and ref() is conn

    def sweep(self, is_closed: Callable[[C], bool]) -> None:
        """Forget some of the handed-out connections that their users have closed; a few at each call, in turn."""
        for key in list(self._issued)[:_SWEEP]:
            ref = self._issued.pop(key, None)
            conn = ref() if ref is not None else None
            if ref is not None and conn is not None and not is_closed(conn):
                self._issued[key] = ref
