"""What an asyncpg connection goes through between its login and its end: the reset, and transactions.

Rule: a reset is one simple query. Asyncpg's statement cache survives it, and so must the prepared statements on the server:
no DISCARD ALL, no DEALLOCATE ALL; what a user prepares by SQL's PREPARE is the one thing that is left over.
"""

from __future__ import annotations

import logging
from typing import Any

import asyncpg
from asyncpg.transaction import Transaction as AsyncpgTransaction
from asyncpg.transaction import TransactionState

from .base import TransactionOptions, check_savepoint
from .postgres.session import MORE, SET_IN_SESSION, restoring

__all__ = ["SessionTransaction", "baseline", "begin", "reset"]

_log = logging.getLogger("aioclustersql.pool")

_RESETS_ALL = "RESET ALL"


async def baseline(conn: asyncpg.Connection[Any]) -> str:
    """As `Driver.baseline`: the statement that sets again what is set in the session now."""
    return restoring([tuple(row) for row in await conn.fetch(SET_IN_SESSION)])


async def reset(conn: Any, baseline: str) -> None:
    """As `Driver.reset`, in one round trip; `conn` is an `asyncpg.Connection`, `baseline` a statement, or empty."""
    query = conn.get_reset_query()
    if _RESETS_ALL in query:  # not Redshift's and CockroachDB's: they know some of this only
        query += MORE
    if conn.is_in_transaction():
        query = "ROLLBACK;" + query
    conn._top_xact = None
    conn._listeners.clear()
    conn._log_listeners.clear()
    # As in asyncpg's pool: cursors, prepared statements and transactions that a user kept are void from here on.
    conn._pool_release_ctr += 1
    await conn.execute(query + baseline)


class SessionTransaction(AsyncpgTransaction):
    """Asyncpg's own transaction, so that the user's `conn.transaction()` nests in it, with some differences.

    It says READ WRITE where asyncpg says nothing, which a standby refuses. It goes by what the server says of an open
    transaction, and so is a savepoint inside of one that was begun by SQL. It leaves nothing behind when it fails to begin.
    A COMMIT that the server answered by a rollback is an error; one that came back with a warning is logged.
    """

    _connection: Any
    _isolation: str | None
    _readonly: bool
    _deferrable: bool

    async def start(self) -> None:
        conn = self._connection
        inside = conn.is_in_transaction()
        if inside:
            self._nested, self._id = True, conn._get_unique_id("savepoint")
            query = f"SAVEPOINT {self._id};"
        else:
            query = self._begin()
        outer = conn._top_xact if inside else None
        conn._top_xact = outer or self
        try:
            await conn.execute(query)
            if not (inside or self._readonly):
                await self._respect_the_default()
        except BaseException:
            conn._top_xact = outer
            self._state = TransactionState.FAILED
            raise
        self._state = TransactionState.STARTED

    def _begin(self) -> str:
        isolation = f" ISOLATION LEVEL {self._isolation.replace('_', ' ').upper()}" if self._isolation else ""
        return f"BEGIN{isolation} READ {'ONLY' if self._readonly else 'WRITE'}{' DEFERRABLE' if self._deferrable else ''};"

    async def _respect_the_default(self) -> None:
        """Where an administrator made transactions read only by default, ours would have gone over that.

        PostgreSQL 14 and later reports the setting with every answer that follows its change; older ones are not asked.
        """
        conn = self._connection
        if getattr(conn.get_settings(), "default_transaction_read_only", "off") == "on":
            await conn.execute("ROLLBACK;")
            raise asyncpg.ReadOnlySQLTransactionError("cannot begin to write: default_transaction_read_only is on")

    async def commit(self) -> None:
        """Raises `asyncpg.InFailedSQLTransactionError` where a statement had failed before and nobody had heeded it."""
        if self._nested or self._state is not TransactionState.STARTED:
            await super().commit()
            return
        conn = self._connection
        conn._top_xact, self._state = None, TransactionState.FAILED
        # "Canceling wait for synchronous replication" is a warning: what was committed is on this server alone.
        conn.add_log_listener(_log_warning)
        try:
            status = await conn.execute("COMMIT;")
        finally:
            conn.remove_log_listener(_log_warning)
        if status == "ROLLBACK":
            self._state = TransactionState.ROLLEDBACK
            raise asyncpg.InFailedSQLTransactionError("nothing was committed: a statement of the transaction had failed")
        self._state = TransactionState.COMMITTED


def _log_warning(conn: object, message: asyncpg.PostgresLogMessage) -> None:
    if getattr(message, "severity_en", None) == "WARNING":
        _log.warning("COMMIT on %r came back with a warning: %s (%s)", conn, message, message.sqlstate)


async def begin(conn: asyncpg.Connection[Any], options: TransactionOptions) -> SessionTransaction:
    """As `Driver.begin`."""
    if conn.is_in_transaction():
        check_savepoint(options)
    isolation: Any = options.isolation.replace(" ", "_") if options.isolation else None
    transaction = SessionTransaction(conn, isolation, options.readonly, options.deferrable)
    await transaction.start()
    return transaction
