"""Transactions on a connection to MySQL or MariaDB, begun explicitly and with the autocommit mode on.

Rule: the mode is afterwards what it was before, in the same round trips; and what was committed is never reported as failed.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

from ...errors import ConfigError
from ..base import Transaction, TransactionOptions, check_savepoint
from .wire import QUERY, SET_AUTOCOMMIT, Wire

__all__ = ["begin", "in_transaction"]

_ON, _OFF = SET_AUTOCOMMIT[True], SET_AUTOCOMMIT[False]
_NO_SAVEPOINT = 1305
_numbers = itertools.count(1)


class _Whole:
    """A transaction, and whether the autocommit mode was switched on for it."""

    def __init__(self, wire: Wire, conn: Any, *, switched: bool) -> None:
        self._wire = wire
        self._conn = conn
        self._switched = switched

    async def commit(self) -> None:
        await self._end("COMMIT")

    async def rollback(self) -> None:
        await self._end("ROLLBACK")

    async def _end(self, statement: str) -> None:
        wire, conn = self._wire, self._conn
        if not self._switched:
            await wire.run(conn, statement)
            return
        await conn._execute_command(QUERY, f"{statement};{_OFF}")
        try:
            await wire.answer(conn)
        except wire.programming_error:  # a proxy between that takes one statement at a time
            await wire.run(conn, statement)
        except wire.error:
            await _switch_off(wire, conn)
            raise
        else:
            with _or_dropped(wire, conn):
                await wire.answer(conn)
            return
        await _switch_off(wire, conn)


class _Savepoint:
    """A savepoint inside of a transaction."""

    def __init__(self, wire: Wire, conn: Any, name: str) -> None:
        self._wire = wire
        self._conn = conn
        self._name = name

    async def commit(self) -> None:
        await self._wire.run(self._conn, f"RELEASE SAVEPOINT {self._name}")

    async def rollback(self) -> None:
        await self._wire.run(self._conn, f"ROLLBACK TO SAVEPOINT {self._name}")


def in_transaction(conn: Any) -> bool:
    """As `Driver.in_transaction`. An error carries no status: after a deadlock, or a loss, the last answer before it counts."""
    inside: bool = conn.get_transaction_status()
    return inside


async def begin(wire: Wire, conn: Any, options: TransactionOptions) -> Transaction:
    """As `Driver.begin`, in one round trip."""
    if options.deferrable:
        raise ConfigError("deferrable is PostgreSQL's; MySQL and MariaDB have no such transactions")
    if in_transaction(conn):
        check_savepoint(options)
        return await _savepoint(wire, conn)
    switched = not conn.get_autocommit()
    statements = [_ON] if switched else []
    if options.isolation is not None:
        statements.append(f"SET TRANSACTION ISOLATION LEVEL {options.isolation.upper()}")
    # Without READ WRITE a server with read_only=1 would begin, and refuse the first write.
    statements.append(f"START TRANSACTION READ {'ONLY' if options.readonly else 'WRITE'}")
    try:
        await wire.run(conn, *statements)
    except wire.error:
        if switched:
            await _switch_off(wire, conn)
        raise
    return _Whole(wire, conn, switched=switched)


async def _savepoint(wire: Wire, conn: Any) -> Transaction:
    name = f"aioclustersql_{next(_numbers)}"
    await wire.run(conn, f"SAVEPOINT {name}")
    if not in_transaction(conn):  # a deadlock has rolled it back, and nobody heeded that
        raise wire.operational_error(_NO_SAVEPOINT, "the transaction that the savepoint is for has ended already")
    return _Savepoint(wire, conn, name)


async def _switch_off(wire: Wire, conn: Any) -> None:
    with _or_dropped(wire, conn):
        await wire.run(conn, _OFF)


@contextlib.contextmanager
def _or_dropped(wire: Wire, conn: Any) -> Iterator[None]:
    """What came before is done, well or badly: where the mode cannot be restored, the connection ends and nothing is raised."""
    try:
        yield
    except wire.error:
        wire.drop(conn)
