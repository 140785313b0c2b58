"""Transactions on an aiomysql connection, begun explicitly and with the autocommit mode on.

Rule: the mode is afterwards what it was before, in the same round trips; and what was committed is never reported as failed.
"""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import aiomysql
from pymysql.constants import COMMAND

from ..errors import ConfigError
from .aiomysql_wire import answer, drop, run
from .base import Transaction, TransactionOptions, check_savepoint

__all__ = ["begin", "in_transaction"]

_ON, _OFF = "SET autocommit=1", "SET autocommit=0"
_NO_SAVEPOINT = 1305
_numbers = itertools.count(1)


class _Whole:
    """A transaction, and whether the autocommit mode was switched on for it."""

    def __init__(self, conn: aiomysql.Connection, *, switched: bool) -> None:
        self._conn = conn
        self._switched = switched

    async def commit(self) -> None:
        await self._end("COMMIT")

    async def rollback(self) -> None:
        await self._end("ROLLBACK")

    async def _end(self, statement: str) -> None:
        conn = self._conn
        if not self._switched:
            await run(conn, statement)
            return
        await conn._execute_command(COMMAND.COM_QUERY, f"{statement};{_OFF}")
        try:
            await answer(conn)
        except aiomysql.ProgrammingError:  # a proxy between that takes one statement at a time
            await run(conn, statement)
        except aiomysql.Error:
            await _switch_off(conn)
            raise
        else:
            with _or_dropped(conn):
                await answer(conn)
            return
        await _switch_off(conn)


class _Savepoint:
    """A savepoint inside of a transaction."""

    def __init__(self, conn: aiomysql.Connection, name: str) -> None:
        self._conn = conn
        self._name = name

    async def commit(self) -> None:
        await run(self._conn, f"RELEASE SAVEPOINT {self._name}")

    async def rollback(self) -> None:
        await run(self._conn, f"ROLLBACK TO SAVEPOINT {self._name}")


def in_transaction(conn: aiomysql.Connection) -> bool:
    """As `Driver.in_transaction`. An error carries no status: after a deadlock, or a loss, the last answer before it counts."""
    inside: bool = conn.get_transaction_status()
    return inside


async def begin(conn: aiomysql.Connection, options: TransactionOptions) -> Transaction:
    """As `Driver.begin`, in one round trip."""
    if options.deferrable:
        raise ConfigError("deferrable is PostgreSQL's; MySQL and MariaDB have no such transactions")
    if in_transaction(conn):
        check_savepoint(options)
        return await _savepoint(conn)
    switched = not conn.get_autocommit()
    statements = [_ON] if switched else []
    if options.isolation is not None:
        statements.append(f"SET TRANSACTION ISOLATION LEVEL {options.isolation.upper()}")
    # Without READ WRITE a server with read_only=1 would begin, and refuse the first write.
    statements.append(f"START TRANSACTION READ {'ONLY' if options.readonly else 'WRITE'}")
    try:
        await run(conn, *statements)
    except aiomysql.Error:
        if switched:
            await _switch_off(conn)
        raise
    return _Whole(conn, switched=switched)


async def _savepoint(conn: aiomysql.Connection) -> Transaction:
    name = f"aioclustersql_{next(_numbers)}"
    await run(conn, f"SAVEPOINT {name}")
    if not in_transaction(conn):  # a deadlock has rolled it back, and nobody heeded that
        raise aiomysql.OperationalError(_NO_SAVEPOINT, "the transaction that the savepoint is for has ended already")
    return _Savepoint(conn, name)


async def _switch_off(conn: aiomysql.Connection) -> None:
    if conn._writer is not None:
        with _or_dropped(conn):
            await run(conn, _OFF)


@contextlib.contextmanager
def _or_dropped(conn: aiomysql.Connection) -> Iterator[None]:
    """What came before is done, well or badly: where the mode cannot be restored, the connection ends and nothing is raised."""
    try:
        yield
    except aiomysql.Error:
        drop(conn)
