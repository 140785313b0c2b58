"""The transaction of a session, as `runtime.work` takes it: begun on a connection that is held, ended, and left behind.

Rule: it begins explicitly, so that BEGIN shows whether the node takes writes, and an implicit commit (DDL on MySQL) shows later.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, SessionTransaction

from ..drivers.base import Transaction, TransactionOptions
from ..errors import AcquireTimeout, ConfigError, ConnectTimeout
from ..failure import FailureKind
from ..node import Isolation
from ..runtime.beginning import Beginner, Request
from ..runtime.begun import ROLLBACK, Begun
from ..runtime.lease import Lease, NoLeases
from ..runtime.trail import Trail
from .seats import Seat, Seats, known_seat_of

__all__ = ["SessionBeginner"]

S = TypeVar("S", bound=AsyncSession)

AGAIN = 0.05
"""Seconds before the next login, where the cluster's time for one was over and the caller's is not."""

_log = logging.getLogger("aioclustersql.pool")


class SessionBeginner(Beginner[S], Generic[S]):
    """Begins the transactions of one `run`, one after the other. Leaving the block gives back what the last one had."""

    def __init__(self, seats: Seats, engine: Engine | Connection, sessions: async_sessionmaker[S]) -> None:
        super().__init__(seats.registry, NoLeases(seats.registry.cluster))
        if not isinstance(engine, Engine):
            raise ConfigError("run() wants a sessionmaker that is bound to an engine, not to a connection")
        self._engine = AsyncEngine(engine)
        self._sessions = sessions
        self._conn: AsyncConnection | None = None
        self._session: S | None = None
        self._seat: Seat | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave()

    async def begin(self, request: Request, trail: Trail, kept: Lease[S] | None = None) -> Begun[S]:  # noqa: ARG002
        """As `Beginner.begin`; a lease is never kept."""
        while True:
            await self._leave()
            limit = asyncio.timeout_at(trail.limit)
            try:
                async with limit:
                    return await self._begin_session(request.options)
            except Exception as exc:
                if limit.expired():
                    late = AcquireTimeout(f"no transaction had begun within {trail.timeout:.3g} s", trail.errors)
                    trail.annotate(late, "waiting for a connection and its BEGIN")
                    raise late from exc
                pause = self._begin_failed(exc, trail)
                if pause is None:
                    raise
            if pause:
                await asyncio.sleep(pause)

    async def _begin_session(self, options: TransactionOptions) -> Begun[S]:
        self._conn = conn = self._engine.connect()
        await conn.start()
        session = self._session = self._sessions(bind=conn)
        inner = await session.connection()
        assert inner.sync_connection is not None  # noqa: S101 - it was started
        seat = self._seat = known_seat_of(inner.sync_connection)
        transaction: Transaction | None = None
        if inner.dialect.name == "postgresql":
            await inner.exec_driver_sql(_opening(options))
        else:
            transaction = await self.registry.driver.begin(seat.conn, options)
        return _Unit(self, session, seat, transaction)

    def _begin_failed(self, exc: Exception, trail: Trail) -> float | None:
        trail.heed_cancel(exc)
        if isinstance(exc, ConnectTimeout):
            return AGAIN  # no node served; wait on, until the caller's own time is over
        if self._seat is None:
            return None
        kind: FailureKind = self.registry.driver.classify(exc)
        return self.judge(self._seat.member.name, kind, exc, trail)

    async def _leave(self) -> None:
        """Give back, or close, what the last attempt had; soon, and though the caller is cancelled."""
        conn, session, seat = self._conn, self._session, self._seat
        self._conn = self._session = self._seat = None
        if conn is None:
            return
        with anyio.move_on_after(ROLLBACK, shield=True) as scope:
            try:
                if seat is not None and self.registry.driver.is_closed(seat.conn) and not conn.invalidated:
                    await conn.invalidate()
                if session is not None:
                    await session.close()
                await conn.close()
            except Exception as exc:  # noqa: BLE001 - what went wrong before is what the caller is told
                _log.debug("leaving a session: %r", exc)
                scope.cancel()
        if scope.cancelled_caught and seat is not None:
            self.registry.driver.terminate(seat.conn)


class _Unit(Begun[S], Generic[S]):
    """One transaction of one session, on a connection that the beginner holds."""

    __slots__ = ("_ended", "_seat")

    def __init__(self, beginner: SessionBeginner[S], session: S, seat: Seat, native: Transaction | None) -> None:
        transaction = _Ending(session, native)
        super().__init__(beginner.registry.driver, beginner.leases, session, transaction, node=seat.member.name)
        self._seat = seat
        seat.open_when_failed = None
        self._ended = False
        event.listen(session.sync_session, "after_transaction_end", self._see_end)

    def _see_end(self, _: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            self._ended = True

    @property
    def open(self) -> bool:
        """As `Begun.open`; a transaction that a failure has undone counts by what it was when that struck."""
        if self._ended:
            return False
        if self._seat.open_when_failed is not None and (self._seat.gone or not self.conn.is_active):
            return self._seat.open_when_failed
        return self._driver.in_transaction(self._seat.conn)

    @property
    def closed(self) -> bool:
        return self._seat.gone or self._driver.is_closed(self._seat.conn)

    def discard(self) -> None:
        self._driver.terminate(self._seat.conn)


class _Ending:
    """COMMIT and ROLLBACK of a session; afterwards the driver's autocommit mode is what SQLAlchemy believes it to be."""

    def __init__(self, session: AsyncSession, native: Transaction | None) -> None:
        self._session = session
        self._native = native

    async def commit(self) -> None:
        await self._session.commit()
        await self._restore()

    async def rollback(self) -> None:
        await self._session.rollback()
        await self._restore()

    async def _restore(self) -> None:
        if self._native is not None:
            await self._native.rollback()


def _opening(options: TransactionOptions) -> str:
    """What follows PostgreSQL's BEGIN. Without READ WRITE a standby would begin, and refuse the first write."""
    words: list[Any] = ["READ ONLY" if options.readonly else "READ WRITE"]
    if options.isolation is not None:
        words.insert(0, f"ISOLATION LEVEL {Isolation(options.isolation).upper()}")
    if options.deferrable:
        words.append("DEFERRABLE")
    return f"SET TRANSACTION {', '.join(words)}"
