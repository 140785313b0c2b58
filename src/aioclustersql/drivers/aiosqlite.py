"""One SQLite file by way of aiosqlite: the application that has a cluster in production runs on a laptop without a server.

There is one node, and it is the primary. Every connection has a thread; what happens to a session is in `aiosqlite_session`.
Rule: a file that is busy is neither down nor silent, so what looks at the node never waits for a lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import aiosqlite

from ..dsn import parse_url, redact
from ..errors import ConfigError, NodeNotFit
from ..failure import FailureKind
from ..node import Role, Target
from . import aiosqlite_session as session
from .aiosqlite_connection import Connection, Session
from .base import Endpoint, Observation, Transaction, TransactionOptions
from .options import check_known, convert_known

__all__ = ["AiosqliteDriver"]

_KINDS: Mapping[str, type] = {
    "timeout": float,
    "detect_types": int,
    "isolation_level": str,
    "cached_statements": int,
    "iter_chunk_size": int,
}
_KNOWN = frozenset({*_KINDS, "factory"})
_PLACE = "write sqlite:///relative/path or sqlite:////absolute/path"
_CHUNK = 64
"""Rows that aiosqlite fetches at once when a cursor is iterated; its own default."""

# Primary result codes: https://www.sqlite.org/rescode.html
_CODES = {
    sqlite3.SQLITE_BUSY: FailureKind.ROLLED_BACK,  # the unit runs again; before that what is open is rolled back
    sqlite3.SQLITE_LOCKED: FailureKind.ROLLED_BACK,
    sqlite3.SQLITE_INTERRUPT: FailureKind.INTERRUPTED,
    sqlite3.SQLITE_CANTOPEN: FailureKind.CONFIGURATION,
    sqlite3.SQLITE_NOTADB: FailureKind.CONFIGURATION,
    sqlite3.SQLITE_PERM: FailureKind.CONFIGURATION,
    sqlite3.SQLITE_AUTH: FailureKind.CONFIGURATION,
}
_CLOSED = ("Cannot operate on a closed database", "Connection closed", "no active connection")


class AiosqliteDriver:
    """The driver `aiosqlite`. Its connections are `aiosqlite.Connection` objects.

    URLs: `sqlite:///shop.db` (relative to the working directory), `sqlite:////var/lib/shop.db`. Options: `timeout`, the seconds
    that a statement waits for a lock (5.0), `detect_types`, `isolation_level`, `cached_statements`, `factory`, as in
    `sqlite3.connect`, and aiosqlite's `iter_chunk_size`.
    """

    name: str = "aiosqlite"
    schemes: frozenset[str] = frozenset({"sqlite", "sqlite+aiosqlite"})
    multi_primary: bool = False

    def parse(self, dsn: str, options: Mapping[str, Any]) -> Endpoint:
        """As `Driver.parse`. A file has no host, user or password; `:memory:` would be another database on each connection."""
        url, shown = parse_url(dsn), redact(dsn)
        if url.scheme not in self.schemes:
            raise ConfigError(f"{shown!r}: aiosqlite's schemes are {', '.join(sorted(self.schemes))}")
        if url.host or url.user or url.password or url.port:
            raise ConfigError(f"{shown!r}: a file has no host, port, user or password; {_PLACE}")
        if not url.database or url.database == ":memory:":
            raise ConfigError(f"{shown!r} names no file, and in memory every connection would see another database; {_PLACE}")
        check_known(url.options, _KNOWN - {"factory"}, f"aiosqlite ({shown})")
        given = {**convert_known(url.options, _KINDS, shown), **_checked(options, shown)}
        path = str(Path(url.database).expanduser())
        return Endpoint(path, {"database": path, **given})

    def override(self, endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
        """As `Driver.override`."""
        for name in ("database", "dsn", "host", "port", "user", "password"):
            if name in options:
                raise ConfigError(f"{name!r} cannot be given to one connect: which file it is belongs to the registered node")
        return Endpoint(endpoint.address, {**endpoint.arguments, **_checked(options, "connect()")})

    async def connect(self, endpoint: Endpoint, password: str | None) -> aiosqlite.Connection:  # noqa: ARG002 - a file has none
        """Open the file, and make it where there is none. Raises sqlite3's errors."""
        arguments = dict(endpoint.arguments)
        conn = Connection(arguments.pop("database"), arguments.pop("iter_chunk_size", _CHUNK), arguments)
        try:
            await conn
            conn.login = await conn.do(session.state_of)
        except BaseException:
            self.terminate(conn)
            raise
        return conn

    async def validate(self, conn: aiosqlite.Connection, target: Target) -> Role:
        """Always the primary. Raises `sqlite3.DatabaseError` for a file that is no database."""
        await _ours(conn).do(session.check)
        if target is Target.STANDBY:
            raise NodeNotFit(
                "an SQLite file has no standby; use target='prefer-standby' or 'any', which it serves as well", lasting=True
            )
        return Role.PRIMARY

    async def close(self, conn: aiosqlite.Connection) -> None:
        """Close the file, after what is under way there, and end the thread."""
        ours = _ours(conn)
        if not ours.closed:
            ours.inside = False
            future = ours.stop()
            if future is not None:
                await future
        ours.join()

    def terminate(self, conn: aiosqlite.Connection) -> None:
        """As `Driver.terminate`: the thread interrupts what it does, closes the file and ends, all by itself."""
        _ours(conn).cut()

    def is_closed(self, conn: aiosqlite.Connection) -> bool:
        """Whether it was closed here; nobody else can."""
        return _ours(conn).closed

    async def ping(self, conn: aiosqlite.Connection) -> None:
        """Whether the thread answers."""
        await _ours(conn).do(session.ask)

    async def baseline(self, conn: aiosqlite.Connection) -> Session:
        """As `Driver.baseline`: pragmas of the connection, row and text factory, isolation level."""
        return await _ours(conn).do(session.state_of)

    async def reset(self, conn: aiosqlite.Connection, baseline: object) -> None:
        """As `Driver.reset`, in one trip to the thread. Temporary tables and attached files go; registered functions stay."""
        ours = _ours(conn)
        wanted = baseline if isinstance(baseline, Session) else ours.login
        await ours.do(lambda raw: session.restore(raw, wanted))

    def in_transaction(self, conn: aiosqlite.Connection) -> bool:
        """As `Driver.in_transaction`."""
        ours = _ours(conn)
        return ours.inside if ours.closed else ours.in_transaction

    async def begin(self, conn: aiosqlite.Connection, options: TransactionOptions) -> Transaction:
        """As `Driver.begin`: BEGIN IMMEDIATE, so that a busy file shows here and not at the first write. Every transaction is
        serializable, whatever is asked for.
        """
        return await session.begin(_ours(conn), options)

    async def probe(self, conn: aiosqlite.Connection, *, causal: bool) -> Observation:  # noqa: ARG002 - nothing to wait for
        """As `Driver.probe`."""
        await _ours(conn).do(session.ask)
        return Observation(Role.PRIMARY, lag=0.0, lag_bytes=0)

    def last_received(self, conn: aiosqlite.Connection) -> float | None:  # noqa: ARG002 - as the protocol has it
        """Nothing is received from a file."""
        return None

    def unwrap(self, conn: object) -> object:
        """It has no pool, hence no proxies."""
        return conn

    def classify(self, exc: BaseException) -> FailureKind:
        """By SQLite's primary result code."""
        if isinstance(exc, ConfigError):
            return FailureKind.CONFIGURATION
        code = getattr(exc, "sqlite_errorcode", None) if isinstance(exc, sqlite3.Error) else None
        if code is not None:
            return _CODES.get(code & 0xFF, FailureKind.OTHER)
        if isinstance(exc, sqlite3.ProgrammingError | ValueError) and str(exc).startswith(_CLOSED):
            return FailureKind.FOUND_CLOSED
        return FailureKind.OTHER


def _ours(conn: aiosqlite.Connection) -> Connection:
    return cast("Connection", conn)  # as all that `connect` has made


def _checked(options: Mapping[str, Any], shown: str) -> dict[str, Any]:
    check_known(options, _KNOWN, f"aiosqlite ({shown})")
    given = {name: value for name, value in options.items() if value is not None or name == "isolation_level"}
    for name, value in given.items():
        kind = _KINDS.get(name)
        if value is None or kind is None:
            continue
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or isinstance(value, bool):
            raise ConfigError(f"{shown}: the option {name!r} is of type {kind.__name__}, not {type(value).__name__}")
    return given
