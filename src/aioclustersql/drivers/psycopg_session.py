"""What a psycopg connection goes through between its login and its end: the reset, and transactions.

Rule: a reset is one simple query, and psycopg's prepared statements survive it; what is set on this side is set back as well.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus

from .base import TransactionOptions, check_savepoint
from .postgres.session import RESET, SET_IN_SESSION, restoring
from .psycopg_connection import Session, inside, simple

__all__ = ["SessionTransaction", "baseline", "begin", "login_of", "reset"]

_log = logging.getLogger("aioclustersql.pool")

_ATTRIBUTES = (
    *("row_factory", "cursor_factory", "server_cursor_factory", "prepare_threshold", "prepared_max"),
    *("_autocommit", "_isolation_level", "_read_only", "_deferrable"),
)


def login_of(conn: Any) -> Session:
    """What is set on this side of a new connection."""
    return Session(tuple((name, getattr(conn, name)) for name in _ATTRIBUTES))


async def baseline(conn: psycopg.AsyncConnection[Any]) -> Session:
    """As `Driver.baseline`: the session as it is now."""
    statement = restoring(await simple(conn, SET_IN_SESSION))
    return login_of(conn)._replace(statement=statement)


async def reset(conn: Any, session: Session | None) -> None:
    """As `Driver.reset`, in one round trip; without a session, to that of the login."""
    if conn.pgconn.transaction_status == TransactionStatus.ACTIVE or conn._pipeline is not None:
        raise psycopg.OperationalError("commands out of step: a COPY, a pipeline or a query was not brought to its end")
    if session is None:
        session = conn.login
    conn._num_transactions = 0
    conn._tpc = None
    conn._notice_handlers.clear()
    conn._notify_handlers.clear()
    if conn._notifies_backlog:
        conn._notifies_backlog.clear()
    await simple(conn, ("ROLLBACK;" if inside(conn) else "") + RESET + session.statement)
    for name, value in session.attributes:
        setattr(conn, name, value)
    conn._begin_statement = b""


async def begin(conn: psycopg.AsyncConnection[Any], options: TransactionOptions) -> SessionTransaction:
    """As `Driver.begin`."""
    if inside(conn):
        check_savepoint(options)
    else:
        conn._num_transactions = 0  # a COMMIT of the user's own may have ended one that psycopg still counts
    transaction = SessionTransaction(conn, options)
    await transaction.start()
    return transaction


class SessionTransaction(psycopg.AsyncTransaction):
    """Psycopg's own transaction, so that the user's `conn.transaction()` nests in it, with some differences.

    It says READ WRITE where psycopg says nothing, which a standby refuses. The autocommit mode is on meanwhile, so that after a
    COMMIT of the user's own no new transaction begins unseen. A COMMIT that could only roll back is an error; one that came back
    with a warning is logged; a rollback that fails is.
    """

    def __init__(self, conn: Any, options: TransactionOptions) -> None:
        super().__init__(conn)
        self._options = options
        self._whole = not inside(conn)
        self._mode = conn.autocommit

    async def start(self) -> None:
        """BEGIN, or SAVEPOINT."""
        conn: Any = self._conn
        if self._whole:
            conn._autocommit = True
        try:
            await self.__aenter__()
            if self._whole and not self._options.readonly:
                await self._respect_the_default()
        except BaseException:
            self._restore_mode()
            raise

    def _get_enter_commands(self) -> Iterator[bytes]:
        if not self._outer_transaction:
            yield from super()._get_enter_commands()
            return
        options = self._options
        isolation = f" ISOLATION LEVEL {options.isolation.upper()}" if options.isolation else ""
        yield f"BEGIN{isolation} READ {'ONLY' if options.readonly else 'WRITE'}{' DEFERRABLE' * options.deferrable}".encode()

    async def _respect_the_default(self) -> None:
        """Where an administrator made transactions read only by default, ours would have gone over that.

        PostgreSQL 14 and later reports the setting with every answer that follows its change; older ones are not asked.
        """
        if self.pgconn.parameter_status(b"default_transaction_read_only") == b"on":
            await self.rollback()
            raise psycopg.errors.ReadOnlySqlTransaction("cannot begin to write: default_transaction_read_only is on")

    async def commit(self) -> None:
        """Raises `psycopg.errors.InFailedSqlTransaction` where a statement had failed before and nobody had heeded it."""
        if self._whole and self.pgconn.transaction_status == TransactionStatus.INERROR:
            await self.rollback()
            raise psycopg.errors.InFailedSqlTransaction("nothing was committed: a statement of the transaction had failed")
        conn = self._conn
        # "Canceling wait for synchronous replication" is a warning: what was committed is on this server alone.
        conn.add_notice_handler(self._log_warning)
        try:
            async with conn.lock:
                await conn.wait(self._commit_gen())
        finally:
            conn.remove_notice_handler(self._log_warning)
            self._restore_mode()

    async def rollback(self) -> None:
        """Raises where it fails."""
        try:
            async with self._conn.lock:
                await self._conn.wait(self._rollback_gen(None))
        finally:
            self._restore_mode()

    def _restore_mode(self) -> None:
        if self._whole:
            conn: Any = self._conn
            conn._autocommit = self._mode

    def _log_warning(self, notice: Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            _log.warning("COMMIT on %r came back with a warning: %s (%s)", self._conn, notice.message_primary, notice.sqlstate)
