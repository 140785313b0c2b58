"""What an SQLite connection goes through between its opening and its end: checks, the reset, transactions.

Functions that take a `sqlite3.Connection` run in the connection's thread. Rule: checks take no lock on the file.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import ConfigError
from .aiosqlite_connection import Connection, Session
from .base import Transaction, TransactionOptions, check_savepoint

__all__ = ["ask", "begin", "check", "restore", "state_of"]

_PRAGMAS = (
    *("automatic_index", "cache_size", "cache_spill", "cell_size_check", "checkpoint_fullfsync"),
    *("foreign_keys", "fullfsync", "ignore_check_constraints", "legacy_alter_table", "query_only", "read_uncommitted"),
    *("recursive_triggers", "reverse_unordered_selects", "synchronous", "temp_store", "trusted_schema"),
)
"""What a connection can set and ask for, and the file does not keep: https://www.sqlite.org/pragma.html"""
_TEMPORARY = "SELECT type, name FROM sqlite_temp_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
_BUSY = object()
_numbers = itertools.count(1)


def ask(raw: sqlite3.Connection) -> None:
    """One answer, without a look at the file."""
    raw.execute("SELECT 1").fetchone()


def check(raw: sqlite3.Connection) -> None:
    """See that the file is a database. One that is busy is."""
    with _without_waiting(raw):
        _unless_busy(raw, "SELECT 1 FROM sqlite_master LIMIT 1")


def state_of(raw: sqlite3.Connection) -> Session:
    """What is set in the session. Some of it cannot be asked for while the file is busy."""
    patience = _plain(raw, "PRAGMA busy_timeout")
    with _without_waiting(raw):
        answers = {name: _unless_busy(raw, f"PRAGMA {name}") for name in _PRAGMAS}
    found = {name: row[0] for name, row in answers.items() if isinstance(row, tuple)}
    whole = _BUSY not in answers.values()
    return Session({**found, "busy_timeout": patience[0]}, raw.row_factory, raw.text_factory, raw.isolation_level, whole)


def restore(raw: sqlite3.Connection, wanted: Session) -> None:
    """As `Driver.reset`. Raises where it is not known what to lead back to: the connection is to be closed."""
    if not wanted.whole:
        raise sqlite3.OperationalError("what was set when the file was opened is not known: it was busy just then")
    if raw.in_transaction:
        raw.rollback()
    for name, value in wanted.pragmas.items():
        if _plain(raw, f"PRAGMA {name}") != (value,):
            raw.execute(f"PRAGMA {name}={value}")
    raw.row_factory, raw.text_factory = None, str
    for kind, name in raw.execute(_TEMPORARY).fetchall():
        raw.execute(f"DROP {kind} IF EXISTS temp.{_quoted(name)}")
    for _, name, _ in raw.execute("PRAGMA database_list").fetchall():
        if name not in ("main", "temp"):
            raw.execute(f"DETACH {_quoted(name)}")
    raw.row_factory, raw.text_factory = wanted.row_factory, wanted.text_factory
    if raw.isolation_level != wanted.isolation_level:
        raw.isolation_level = wanted.isolation_level


class _Whole:
    """A transaction. A read-only one forbids writes to the connection for as long as it is open."""

    def __init__(self, conn: Connection, *, readonly: bool) -> None:
        self._conn = conn
        self._readonly = readonly

    async def commit(self) -> None:
        await self._end("COMMIT")

    async def rollback(self) -> None:
        await self._end("ROLLBACK")

    async def _end(self, statement: str) -> None:
        def end(raw: sqlite3.Connection) -> None:
            raw.execute(statement)
            if self._readonly:
                raw.execute("PRAGMA query_only=0")

        await self._conn.do(end)


class _Savepoint:
    """A savepoint inside of a transaction."""

    def __init__(self, conn: Connection, name: str) -> None:
        self._conn = conn
        self._name = name

    async def commit(self) -> None:
        await self._do(f"RELEASE {self._name}")

    async def rollback(self) -> None:
        await self._do(f"ROLLBACK TO {self._name}")

    async def _do(self, statement: str) -> None:
        await self._conn.do(lambda raw: raw.execute(statement))


async def begin(conn: Connection, options: TransactionOptions) -> Transaction:
    """As `Driver.begin`, in one trip to the thread."""
    if options.deferrable:
        raise ConfigError("deferrable is PostgreSQL's; SQLite has no such transactions")
    if conn.in_transaction:
        check_savepoint(options)
        name = f"aioclustersql_{next(_numbers)}"
        await conn.do(lambda raw: raw.execute(f"SAVEPOINT {name}"))
        return _Savepoint(conn, name)

    def start(raw: sqlite3.Connection) -> None:
        raw.execute("BEGIN" if options.readonly else "BEGIN IMMEDIATE")
        if options.readonly:
            raw.execute("PRAGMA query_only=1")

    await conn.do(start)
    return _Whole(conn, readonly=options.readonly)


@contextmanager
def _without_waiting(raw: sqlite3.Connection) -> Iterator[None]:
    """A lock that others hold is met at once, and not after the time-out that statements have."""
    patience = _plain(raw, "PRAGMA busy_timeout")[0]
    raw.execute("PRAGMA busy_timeout=0")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout={patience}")


def _unless_busy(raw: sqlite3.Connection, sql: str) -> object:
    """The first row or None; `_BUSY` where the file is."""
    try:
        return _plain(raw, sql)
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return _BUSY


def _plain(raw: sqlite3.Connection, sql: str) -> Any:
    """The first row as a tuple, whatever row factory the user has set."""
    cursor = raw.cursor()
    cursor.row_factory = None
    return cursor.execute(sql).fetchone()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
