"""A registered node and all that is known of it while the cluster lives. State only; `registry` changes it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..drivers.base import Endpoint
from ..node import Health, Node, Role
from ..policy.health import REFUSED_FOR, Breaker
from ..policy.histogram import Tally
from ..policy.latency import LoginLatency
from ..policy.ranking import Fits, fits
from ..policy.roundtrip import RoundTrip
from .failures import describe

if TYPE_CHECKING:
    from .attempt import Attempt

__all__ = ["MAX_STRAGGLERS", "Counters", "Member"]

C = TypeVar("C")

MAX_STRAGGLERS = 2
"""A node with so many unfinished lost logins gets no further racing login until one ends."""
LEARNT = 3
"""A node with fewer samples is measured in the background, one node per connect: a single login says little."""
MEASURE_AFTER = 0.001
"""Seconds. A round trip that ends so soon after the last one that was measured says nothing new, and measuring costs time."""
_SWEEP = 32
"""Handed-out connections looked at per choice, in turn: enough to be exact for small numbers, bounded for large ones."""


class Counters:
    """What happened on one node since it was registered."""

    __slots__ = ("connections", "cut", "errors", "hedges", "interrupted", "logins", "losses", "wins")

    def __init__(self) -> None:
        self.logins = self.connections = self.errors = self.wins = self.losses = self.hedges = self.cut = 0
        self.interrupted = 0


class Member(Generic[C]):
    """One node. Satisfies `policy.ranking.Candidate`."""

    def __init__(self, node: Node, endpoint: Endpoint, is_closed: Callable[[C], bool]) -> None:
        self.node = node
        self.name = node.name
        self.weight = node.weight
        self.endpoint = endpoint
        self.counters = Counters()
        self.attempts: set[Attempt[C]] = set()
        self.lost: set[Attempt[C]] = set()
        self.last_chosen = 0
        self.last_success: datetime | None = None
        self.last_error: datetime | None = None
        self.last_error_message: str | None = None
        self.login_times, self.lease_times = Tally(), Tally()
        self.secret: str | None = None
        """The password of its latest login, where that is fetched anew for each: no error may say it back."""
        self.draining = False
        self.writer: bool | None = None
        """With `writers=N`: whether it was elected."""
        self.generation = 0
        """Grows when what is open there is no good any more; a failure of an older generation is no news."""
        self._is_closed = is_closed
        self._handed_out: dict[int, weakref.ref[Any]] = {}
        self._open: dict[int, weakref.ref[Any]] = {}
        self._spared: set[int] = set()
        self.goodbyes: set[asyncio.Task[None]] = set()
        """To it, by users who wait for their end."""
        self.fits: Fits = fits(Role.UNKNOWN)
        """How well it serves each target, as far as is known."""
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget what was measured: the address is another one, or the clock is."""
        self.latency = LoginLatency()
        self.breaker = Breaker()
        self.since = datetime.now(UTC)
        """Since when its health, role or trouble is what it is."""
        self.refusal: str | None = None
        """Why the latest login was refused, though it is up."""
        self.refused_at = float("-inf")
        self.usable = True
        self.role = Role.UNKNOWN
        self.avoid_until = 0.0
        self.heard_at = float("-inf")
        """When it last answered anything, on the loop's clock."""
        self.round_trip = RoundTrip()
        self._measured_at = float("-inf")
        self.timeline: int | None = None
        self.lag: float | None = None
        self.lag_bytes: int | None = None
        self.degraded: str | None = None
        """Why it is better left alone, though it serves."""
        self.superseded: str | None = None
        """Why it is not taken for the primary that it says it is."""
        self.must_sync = False
        """It was silent, and may lie until it has caught up with its cluster."""
        self.observed: datetime | None = None
        self.observed_at = float("-inf")
        """When the monitor last had an answer: the moment, and on the loop's clock."""
        self.place()

    def update(self, node: Node, endpoint: Endpoint) -> None:
        """Another address, weight or options; with another address nothing known holds any more."""
        moved = endpoint.address != self.endpoint.address
        self.node, self.weight, self.endpoint = node, node.weight, endpoint
        if moved:
            self.generation += 1
            self.start_afresh()

    def place(self) -> bool:
        """Work out `fits` after its role or its place among the others changed; whether that changed anything."""
        before, self.fits = self.fits, fits(self.role, writer=self.writer, superseded=self.superseded is not None)
        return self.fits != before

    def changed(self) -> None:
        """Its health, its role or its trouble is another from now on."""
        self.since = datetime.now(UTC)

    def refuse(self, cause: str, now: float) -> None:
        """It is up and refused a login."""
        if self.refused(now) is None:
            self.changed()
        self.refusal, self.refused_at = cause, now

    def admit(self) -> bool:
        """It let us in; whether it had refused that before."""
        if self.refusal is None:
            return False
        self.refusal = None
        self.changed()
        return True

    def refused(self, now: float) -> str | None:
        """Why it lets nobody in, as far as was seen lately."""
        return self.refusal if now < self.refused_at + REFUSED_FOR else None

    @property
    def load(self) -> int:
        if self._open:
            self._sweep()
        return len(self._open) + len(self.attempts)

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be learnt by a login in the background."""
        return self.breaker.health is Health.UP and self.latency.samples >= LEARNT

    @property
    def open_connections(self) -> int:
        """Connections handed out and, as far as the client side knows, open."""
        return len(self.handed_out())

    @property
    def stragglers(self) -> int:
        """Logins under way that nobody waits for any more."""
        return len(self.lost)

    @property
    def under_way_since(self) -> float | None:
        return min((attempt.started for attempt in self.attempts), default=None)

    def login_estimate(self, now: float) -> float | None:
        return self.latency.estimate(now)

    @property
    def congested(self) -> bool:
        return len(self.lost) >= MAX_STRAGGLERS

    def issue(self, conn: C, *, interrupt: bool = True) -> None:
        """Note a connection that now belongs to the user. One that takes no weak reference is nobody's to count.

        `interrupt`: it may be closed when the node is found silent, so that nobody waits on it.
        """
        key = id(conn)

        def forget(_: object) -> None:
            self._handed_out.pop(key, None)
            self._open.pop(key, None)
            self._spared.discard(key)

        try:
            self._handed_out[key] = self._open[key] = weakref.ref(conn, forget)
            if not interrupt:
                self._spared.add(key)
        except TypeError:
            pass

    def know(self, conn: C) -> None:
        """Note a connection that the pool keeps account of."""
        key = id(conn)

        def forget(_: object) -> None:
            self._handed_out.pop(key, None)

        with suppress(TypeError):
            self._handed_out[key] = weakref.ref(conn, forget)

    @property
    def secrets(self) -> tuple[str | None, str | None]:
        """Its passwords, as far as they are known: the given one, and the latest one that was fetched."""
        password = self.endpoint.password
        return password if isinstance(password, str) else None, self.secret

    def describe(self, exc: BaseException) -> str:
        """An exception that came from this node, in one line without its passwords."""
        return describe(exc, *self.secrets)

    def say_goodbye(self, task: asyncio.Task[None]) -> None:
        """Remember a goodbye until it is over."""
        self.goodbyes.add(task)
        task.add_done_callback(self.goodbyes.discard)

    def heard(self, now: float, round_trip: float | None) -> None:
        """It answered something, within `round_trip` seconds."""
        self.heard_at = now
        if round_trip is not None and not now < self._measured_at + MEASURE_AFTER:
            self._measured_at = now
            self.round_trip.observe(round_trip, now)

    def give_back(self, conn: C) -> None:
        """A connection that was handed out is being closed."""
        self._open.pop(id(conn), None)

    def issued(self, conn: object) -> bool:
        """Whether this very connection was handed out from here, open or not."""
        ref = self._handed_out.get(id(conn))
        return ref is not None and ref() is conn

    def handed_out(self, *, interruptible: bool = False) -> list[C]:
        """The connections that users hold and, as far as the client side knows, are open; or those that may be interrupted."""
        entries = tuple(self._open.items())  # other threads may ask
        found = (ref() for key, ref in entries if not (interruptible and key in self._spared))
        return [conn for conn in found if conn is not None and not self._is_closed(conn)]

    def _sweep(self) -> None:
        """Forget some of the handed-out connections that their users have closed; a few at each call, in turn."""
        for key in list(self._open)[:_SWEEP]:
            ref = self._open.pop(key, None)
            conn = ref() if ref is not None else None
            if ref is not None and conn is not None and not self._is_closed(conn):
                self._open[key] = ref
