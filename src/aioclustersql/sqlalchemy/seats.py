"""Keeps what the cluster knows beside each connection in a pool of SQLAlchemy, and replaces there what no longer serves.

Rule: what befalls a node costs the connections to that node and no others; nothing here waits or asks a server.
"""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from .. import events
from ..errors import ConfigError, UnknownNode
from ..failure import FailureKind
from ..node import Role, Target
from ..policy.ranking import Fit
from ..runtime.member import Member
from ..view import ClusterView

__all__ = ["Seat", "Seats", "seats_of"]

_KEY = "aioclustersql"
_OF_THE_NODE = frozenset(
    {FailureKind.NOT_READY, FailureKind.ROLE_CHANGED, FailureKind.SESSION_LOST, FailureKind.UNREACHABLE, FailureKind.HOST_BLOCKED}
)
"""What says that the other pooled connections to the node are no better."""
_GONE = _OF_THE_NODE | {FailureKind.FOUND_CLOSED, FailureKind.IDLE_CLOSED, FailureKind.TRANSACTION_ENDED}
"""What ends a connection, if it is not ended already."""
_WRITES = frozenset({Target.READ_WRITE, Target.PRIMARY})


@dataclass(slots=True, eq=False, weakref_slot=True)
class Seat:
    """A pooled connection: the driver's own, its node, and the ages of both when it was opened."""

    conn: Any
    member: Member[Any]
    generation: int
    epoch: int
    new: bool = True
    """Nobody had it yet: its login has just shown that it serves."""
    idle: bool = False
    """It lies in the pool."""
    gone: bool = False
    """SQLAlchemy has given it up."""
    open_when_failed: bool | None = None
    """Whether a transaction was open when a statement failed last: SQLAlchemy rolls back, or closes, before it raises."""


class Seats:
    """The pooled connections of one engine."""

    def __init__(self, view: ClusterView[Any]) -> None:
        self.view = view
        self.registry = view._engine.registry
        self.wants = view._defaults.wants
        self._epochs: Counter[Member[Any]] = Counter()
        """By node: how often a connection to it failed in use by its fault."""
        self._seats: weakref.WeakSet[Seat] = weakref.WeakSet()
        heed = weakref.WeakMethod(self._heard)
        weakref.finalize(self, self.registry.bus.subscribe(lambda happened: (hear := heed()) and hear(happened)))

    def keep(self, engine: Engine) -> None:
        """Look after that engine's pool from now on."""
        _kept[engine.dialect] = self
        event.listen(engine, "connect", self._opened)
        event.listen(engine, "checkout", self._taken)
        event.listen(engine, "checkin", self._returned)
        event.listen(engine, "handle_error", self._failed)

    def _opened(self, _: Any, record: ConnectionPoolEntry) -> None:
        conn = record.driver_connection
        member = next((member for member in self.registry.members if member.issued(conn)), None)
        if member is not None:  # else its node was removed while it was logged in there
            seat = record.info[_KEY] = Seat(conn, member, member.generation, self._epochs[member])
            self._seats.add(seat)

    def _taken(self, _: Any, record: ConnectionPoolEntry, __: Any) -> None:
        seat: Seat | None = record.info.get(_KEY)
        if seat is not None:
            seat.idle = False
            if seat.new:
                seat.new = False
                return
        fault = "its node was removed" if seat is None else self._fault(seat)
        if fault is None:
            return
        if seat is not None:
            seat.gone = True
            if not seat.member.usable:
                self.registry.driver.terminate(seat.conn)  # a goodbye might wait for ever
        raise DisconnectionError(f"aioclustersql: this connection is replaced: {fault}")

    def _returned(self, _: Any, record: ConnectionPoolEntry) -> None:
        seat: Seat | None = record.info.get(_KEY)
        if seat is not None:
            seat.idle = True
            self._clear(seat)

    def _heard(self, happened: events.Event) -> None:
        if isinstance(happened, events.NodeDraining):
            for seat in tuple(self._seats):
                self._clear(seat)

    def _clear(self, seat: Seat) -> None:
        """Say goodbye to a connection that nobody uses, if its node is being drained: that waits for it."""
        engine = self.view._engine
        if seat.idle and seat.member.draining and not self.registry.driver.is_closed(seat.conn):
            engine.connector.close_connection(seat.conn, engine.settings.close_timeout)

    def _fault(self, seat: Seat) -> str | None:
        """Why a pooled connection is not to be used any more."""
        member, registry = seat.member, self.registry
        if registry.driver.is_closed(seat.conn):
            return "it is closed"
        if not registry.is_current(member):
            return "its node was removed"
        if member.draining:
            return f"node {member.name} is being drained"
        if (seat.generation, seat.epoch) != (member.generation, self._epochs[member]):
            return f"node {member.name} has failed since"
        now = self.view._engine.connector.now
        serves = registry.standing.serves(member, self.wants, now)
        if serves is Fit.NO:
            return f"node {member.name} no longer serves {self.wants.target}"
        if serves is Fit.FALLBACK and any(self._serves_well(other, now) for other in registry.candidates):
            return f"another node than {member.name} serves {self.wants.target} again"
        return None

    def _serves_well(self, member: Member[Any], now: float) -> bool:
        known = member.usable and member.role is not Role.UNKNOWN
        return known and self.registry.standing.serves(member, self.wants, now) is Fit.YES

    def _failed(self, context: ExceptionContext) -> None:
        context.invalidate_pool_on_disconnect = False
        seat = seat_of(context.connection) if context.connection is not None else None
        if seat is None:
            return
        driver, member, exc = self.registry.driver, seat.member, context.original_exception
        seat.open_when_failed = driver.in_transaction(seat.conn)
        kind = driver.classify(exc)
        if kind in _GONE or driver.is_closed(seat.conn):
            context.is_disconnect = True
            shown = context.sqlalchemy_exception or exc
            because = self.registry.interruptions.reason(seat.conn)
            shown.add_note(f"aioclustersql: on node {member.name}" + (f"; {because}" if because else ""))
        if context.is_disconnect:
            seat.gone = True
        mine = kind is FailureKind.ROLE_CHANGED and self.wants.target not in _WRITES  # a write that was sent to a standby
        if kind in _OF_THE_NODE and not mine and seat.epoch == self._epochs[member]:
            self._epochs[member] += 1
            if isinstance(exc, Exception):
                self.registry.session_lost(member, kind, exc, generation=seat.generation)


_kept: weakref.WeakKeyDictionary[Dialect, Seats] = weakref.WeakKeyDictionary()
"""By the dialect, which an engine shares with those that its `execution_options` make, and with its connections."""


def seats_of(engine: Engine | Connection) -> Seats:
    """What is kept of an engine. Raises `ConfigError` for one that is not on a cluster."""
    found = _kept.get(engine.dialect)
    if found is None:
        raise ConfigError(f"{engine!r} was not made by aioclustersql.sqlalchemy.create_async_engine")
    return found


def seat_of(conn: Connection) -> Seat | None:
    """What is kept of the pooled connection that a connection of SQLAlchemy has, if it has one."""
    if conn.closed or conn.invalidated:
        return None
    found: Seat | None = conn.connection.info.get(_KEY)
    return found


def known_seat_of(conn: Connection) -> Seat:
    """The same. Raises `UnknownNode`."""
    seat = seat_of(conn)
    if seat is None:
        raise UnknownNode(f"no cluster has opened the connection of {conn!r}, or it is closed")
    return seat
