"""The psycopg driver (version 3, async): logins, roles and ends of `psycopg.AsyncConnection`s.

Options are read in `psycopg_options`, exceptions in `psycopg_errors`; sessions are handled in `psycopg_session`. Rule: libpq
finds nothing to fill in from the environment but the password (PGPASSWORD, ~/.pgpass), and the session settings that only the
environment can hold: PGTZ, PGDATESTYLE, PGGEQO and PGCLIENTENCODING.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import psycopg

from ..dsn import parse_url, redact
from ..failure import FailureKind
from ..node import Role, Target
from . import psycopg_connection, psycopg_session
from .base import Endpoint, Observation, TransactionOptions
from .postgres import probe
from .psycopg_connection import Connection, Session, simple
from .psycopg_errors import classify
from .psycopg_options import SCHEMES, for_one_connect, login_parameters, read_endpoint
from .sockets import last_received_on

__all__ = ["PsycopgDriver"]


class PsycopgDriver:
    """PostgreSQL through psycopg 3, with `psycopg.AsyncConnection` as the native connection.

    URLs, defaults and options are as the asyncpg driver's, and libpq's own besides. `row_factory`, `cursor_factory`, `context`,
    `prepare_threshold` and `autocommit` are psycopg's. An `ssl=SSLContext` libpq cannot take: TLS is said in words.
    """

    name: str = "psycopg"
    schemes: frozenset[str] = SCHEMES
    multi_primary: bool = False

    def parse(self, dsn: str, options: Mapping[str, Any]) -> Endpoint:
        """As `Driver.parse`. Query options are libpq's, the common server settings by name and any other as
        `server_settings.name=value`.
        """
        return read_endpoint(parse_url(dsn), options, shown=redact(dsn))

    def override(self, endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
        """As `Driver.override`; `server_settings` are merged, what else is given replaces the node's."""
        return for_one_connect(endpoint, options)

    async def connect(self, endpoint: Endpoint, password: str | None) -> psycopg.AsyncConnection[Any]:
        """As `Driver.connect`. Raises what psycopg raises, and `ConfigError` for an unreadable TLS file."""
        parameters = login_parameters(endpoint)
        if password is not None:
            parameters["password"] = password
        try:
            conn = await Connection.connect(**parameters)
        except asyncio.CancelledError as exc:
            # The login that was given up lives in its frames, and its socket with it: who keeps the exception must not keep them.
            raise exc.with_traceback(None) from None
        conn.login = psycopg_session.login_of(conn)
        return conn

    async def validate(self, conn: psycopg.AsyncConnection[Any], target: Target) -> Role:
        """The role, from what the server reported at login (PostgreSQL 14 and later: no query).

        An older server, or a pooler between that does not report it, is asked, unless `target` is `any`.
        """
        in_recovery = _reported(conn, b"in_hot_standby")
        if in_recovery is not None:
            read_only = _reported(conn, b"default_transaction_read_only")
            return probe.role(in_recovery=in_recovery == b"on", read_only=read_only == b"on")
        if target is Target.ANY:
            return Role.UNKNOWN
        ((recovers, refuses),) = await simple(conn, probe.ROLE_QUERY)
        return probe.role(in_recovery=recovers == "t", read_only=refuses == "t")

    async def close(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """As `Driver.close`. Nothing is waited for: libpq sends its goodbye and closes."""
        psycopg_connection.terminate(conn)

    def terminate(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """As `Driver.terminate`. A task that waits for an answer there gets an `OperationalError`."""
        with contextlib.suppress(Exception):
            psycopg_connection.terminate(conn)

    def is_closed(self, conn: psycopg.AsyncConnection[Any]) -> bool:
        """As `Driver.is_closed`, and whether the server has hung up, which psycopg does not look for."""
        return psycopg_connection.is_closed(conn)

    async def ping(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """As `Driver.ping`. Begins no transaction, whatever the autocommit mode."""
        await simple(conn, "SELECT")

    async def baseline(self, conn: psycopg.AsyncConnection[Any]) -> Session:
        """As `Driver.baseline`: settings and role, row and cursor factories, autocommit and the like. Adapters stay anyway.

        A setting of one's own (`app.tenant`) can be listed by nobody: give it as `server_settings`, which are restored too.
        """
        return await psycopg_session.baseline(conn)

    async def reset(self, conn: psycopg.AsyncConnection[Any], baseline: object) -> None:
        """As `Driver.reset`, in one round trip. What SQL's PREPARE has prepared stays: psycopg's own statements do too."""
        await psycopg_session.reset(conn, baseline if isinstance(baseline, Session) else None)

    def in_transaction(self, conn: psycopg.AsyncConnection[Any]) -> bool:
        """As `Driver.in_transaction`."""
        return psycopg_connection.inside(conn)

    async def begin(self, conn: psycopg.AsyncConnection[Any], options: TransactionOptions) -> psycopg_session.SessionTransaction:
        """As `Driver.begin`: psycopg's own kind of transaction."""
        return await psycopg_session.begin(conn, options)

    async def probe(self, conn: psycopg.AsyncConnection[Any], *, causal: bool) -> Observation:  # noqa: ARG002 - nothing to wait for
        """As `Driver.probe`. `causal` means nothing here: a standby tells its lag, and a primary is never behind."""
        ((in_recovery, read_only, timeline, lag_bytes, lag, has_receiver),) = await simple(conn, probe.QUERY)
        return probe.observation(
            (
                in_recovery == "t",
                read_only == "t",
                int(timeline or 0),
                None if lag_bytes is None else int(lag_bytes),
                None if lag is None else float(lag),
                has_receiver == "t",
            )
        )

    def last_received(self, conn: psycopg.AsyncConnection[Any]) -> float | None:
        """As `Driver.last_received`."""
        if psycopg_connection.is_closed(conn):
            return None
        with psycopg_connection.borrowed_socket(conn) as sock:
            return last_received_on(sock)

    def unwrap(self, conn: object) -> object:
        """Its pool hands out the connections themselves."""
        return conn

    def classify(self, exc: BaseException) -> FailureKind:
        """As `Driver.classify`. Of a failed login libpq keeps the code to itself; then the text is read."""
        return classify(exc)


def _reported(conn: psycopg.AsyncConnection[Any], name: bytes) -> bytes | None:
    """What the server has said of a setting, unasked."""
    return conn.pgconn.parameter_status(name)
