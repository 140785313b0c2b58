"""The asyncpg driver: a URL becomes the explicit keyword arguments of `asyncpg.connect`, an exception becomes a meaning.

Options are read in `asyncpg_options`; sessions are handled in `asyncpg_session`, nodes probed by `postgres.probe`. Rule:
asyncpg gets no DSN and finds nothing to fill in from the environment, but for the password: without one it looks into
PGPASSWORD and ~/.pgpass, as libpq does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import Mapping
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from ..dsn import parse_url, redact
from ..errors import ConfigError
from ..failure import FailureKind
from ..node import Role, Target
from . import asyncpg_session
from .asyncpg_options import SCHEMES, for_one_connect, read_endpoint
from .base import Endpoint, Observation, TransactionOptions
from .postgres import probe
from .postgres.errors import classify_sqlstate
from .sockets import classify_os_error, last_received
from .tls import Tls, TlsMode

__all__ = ["AsyncpgDriver"]

_ALPN = ("postgresql",)
"""What PostgreSQL 17 wants to be asked for under direct TLS; servers before it do not look."""
_TLS_VARIABLES = ("PGSSLCERT", "PGSSLKEY", "PGSSLMINPROTOCOLVERSION", "PGSSLMAXPROTOCOLVERSION")
"""The variables that asyncpg reads even for an explicit `ssl="prefer"`."""

# What asyncpg says without a SQLSTATE, by exception class and a part of the (untranslated) text; the first that fits.
_TEXTS: tuple[tuple[type[BaseException], str, FailureKind], ...] = (
    (asyncpg.exceptions.OutdatedSchemaCacheError, "", FailureKind.STALE_PLAN),
    (asyncpg.exceptions.ClientConfigurationError, "", FailureKind.CONFIGURATION),
    (asyncpg.InterfaceError, "connection is closed", FailureKind.FOUND_CLOSED),
    (asyncpg.InterfaceError, "unsupported authentication method", FailureKind.CONFIGURATION),
    (asyncpg.InterfaceError, "unsupported SASL", FailureKind.CONFIGURATION),
    (asyncpg.InternalClientError, "cannot switch to state", FailureKind.SESSION_LOST),
    (ConnectionError, "rejected SSL upgrade", FailureKind.CONFIGURATION),
    (ConnectionError, "error response during SSL exchange", FailureKind.UNREACHABLE),
)


class AsyncpgDriver:
    """PostgreSQL through asyncpg, with `asyncpg.Connection` as the native connection.

    URLs: `postgresql://user:password@host:port/database?option=value`, `[::1]` for IPv6, and a socket's folder as
    `postgresql:///db?host=/run/postgresql` or percent-encoded in the host's place. Defaults: port 5432, the user of the
    operating system, the database named like the user, `sslmode=prefer`. Without a host the usual socket folders are tried,
    then localhost. `PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`, `PGTARGETSESSIONATTRS`, `PGSSLMODE` and the like are ignored.
    """

    name: str = "asyncpg"
    schemes: frozenset[str] = SCHEMES
    multi_primary: bool = False

    def __init__(self) -> None:
        self._cut_in_transaction: weakref.WeakSet[asyncpg.Connection[Any]] = weakref.WeakSet()

    def parse(self, dsn: str, options: Mapping[str, Any]) -> Endpoint:
        """As `Driver.parse`. Query options are libpq's (sslmode, application_name, options), those of `asyncpg.connect`,
        the common server settings by name and any other as `server_settings.name=value`.
        """
        return read_endpoint(parse_url(dsn), options, shown=redact(dsn))

    def override(self, endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
        """As `Driver.override`; `server_settings` are merged, what else is given replaces the node's."""
        options = dict(options)
        loop = options.pop("loop", None)
        if loop is not None and loop is not asyncio.get_running_loop():
            raise ConfigError("loop is not the running event loop; leave it out")
        return for_one_connect(endpoint, options)

    async def connect(self, endpoint: Endpoint, password: str | None) -> asyncpg.Connection[Any]:
        """As `Driver.connect`. Raises what `asyncpg.connect` raises, and `ConfigError` for an unreadable TLS file."""
        arguments = {**endpoint.arguments, "password": password, "timeout": None}
        if settings := arguments.get("server_settings"):
            arguments["server_settings"] = dict(settings)  # asyncpg insists on a dict
        tls: Tls | None = endpoint.extra
        try:
            if tls is not None and (tls.required or tls.mode is TlsMode.DISABLE):
                return await _connect(arguments, ssl=tls.ssl_context(alpn=_ALPN) or False)
            mode = TlsMode.PREFER if tls is None else tls.mode
            if (tls is None or tls.cert is None) and not any(map(os.environ.get, _TLS_VARIABLES)):
                return await _connect(arguments, ssl=mode.value)
            return await _negotiate(arguments, tls or Tls(mode))
        except asyncio.CancelledError as exc:
            _settle(exc)
            raise

    async def validate(self, conn: asyncpg.Connection[Any], target: Target) -> Role:
        """The role, from what the server reported at login (PostgreSQL 14 and later: no query).

        An older server, or a pooler between that does not report it, is asked, unless `target` is `any`.
        """
        settings = conn.get_settings()
        in_recovery = getattr(settings, "in_hot_standby", None)
        if in_recovery is not None:
            read_only = getattr(settings, "default_transaction_read_only", "off")
            return probe.role(in_recovery=in_recovery == "on", read_only=read_only == "on")
        if target is Target.ANY:
            return Role.UNKNOWN
        row = await conn.fetchrow(probe.ROLE_QUERY)
        assert row is not None  # noqa: S101 - a select without a table has one row
        return probe.role(in_recovery=row[0], read_only=row[1])

    async def close(self, conn: asyncpg.Connection[Any]) -> None:
        """As `Driver.close`. A goodbye that fails is not an error: the socket is closed then too."""
        try:
            await conn.close()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
            self.terminate(conn)

    def terminate(self, conn: asyncpg.Connection[Any]) -> None:
        """As `Driver.terminate`."""
        with contextlib.suppress(Exception):
            if self.in_transaction(conn):
                self._cut_in_transaction.add(conn)
            conn.terminate()

    def is_closed(self, conn: asyncpg.Connection[Any]) -> bool:
        """As `Driver.is_closed`."""
        return conn.is_closed()

    async def ping(self, conn: asyncpg.Connection[Any]) -> None:
        """As `Driver.ping`. Asyncpg stumbles over the answer to an empty query, which would be cheaper by a hair."""
        await conn.execute("SELECT")

    async def baseline(self, conn: asyncpg.Connection[Any]) -> str:
        """As `Driver.baseline`: settings and role. Asyncpg's codecs stay anyway; listeners and temporary tables do not.

        A setting of one's own (`app.tenant`) can be listed by nobody: give it as `server_settings`, which are restored too.
        """
        return await asyncpg_session.baseline(conn)

    async def reset(self, conn: asyncpg.Connection[Any], baseline: object) -> None:
        """As `Driver.reset`, in one round trip. What SQL's PREPARE has prepared stays: asyncpg's own statements do too."""
        await asyncpg_session.reset(conn, baseline if isinstance(baseline, str) else "")

    def in_transaction(self, conn: asyncpg.Connection[Any]) -> bool:
        """As `Driver.in_transaction`. asyncpg forgets it when a connection is terminated: then what it said before."""
        if getattr(conn, "_protocol", None) is None:
            return conn in self._cut_in_transaction
        return conn.is_in_transaction()

    async def begin(self, conn: asyncpg.Connection[Any], options: TransactionOptions) -> asyncpg_session.SessionTransaction:
        """As `Driver.begin`: asyncpg's own kind of transaction."""
        return await asyncpg_session.begin(conn, options)

    async def probe(self, conn: asyncpg.Connection[Any], *, causal: bool) -> Observation:  # noqa: ARG002 - nothing to wait for
        """As `Driver.probe`. `causal` means nothing here: a standby tells its lag, and a primary is never behind."""
        row = await conn.fetchrow(probe.QUERY)
        assert row is not None  # noqa: S101 - the outer side of the join has one row
        return probe.observation(tuple(row))

    def last_received(self, conn: asyncpg.Connection[Any]) -> float | None:
        """As `Driver.last_received`."""
        return last_received(getattr(conn, "_transport", None))

    def unwrap(self, conn: object) -> object:
        """As `Driver.unwrap`: what `asyncpg.Pool.acquire` gives is a proxy."""
        if isinstance(conn, PoolConnectionProxy):
            return getattr(conn, "_con", None) or conn
        return conn

    def classify(self, exc: BaseException) -> FailureKind:
        """As `Driver.classify`. Looks along `__cause__`: asyncpg wraps the server's last word in its own 08003."""
        lost = False
        current: BaseException | None = exc
        seen: set[int] = set()
        while current is not None and id(current) not in seen:
            seen.add(id(current))
            kind = _classify_one(current)
            if kind is FailureKind.SESSION_LOST:
                lost = True
            elif kind is not FailureKind.OTHER and (not lost or isinstance(current, asyncpg.PostgresError)):
                return kind
            current = current.__cause__
        return FailureKind.SESSION_LOST if lost else FailureKind.OTHER


def _classify_one(exc: BaseException) -> FailureKind:
    if isinstance(exc, ConfigError):
        return FailureKind.CONFIGURATION
    if isinstance(exc, asyncpg.PostgresError):
        fields = exc.as_dict()
        severity = fields.get("severity_en") or fields.get("severity")
        code = exc.sqlstate or ""
        return classify_sqlstate(code, severity=severity, routine=fields.get("server_source_function"), message=str(exc))
    for kind_of_error, text, kind in _TEXTS:
        if isinstance(exc, kind_of_error) and text in str(exc):
            return kind
    return classify_os_error(exc) or FailureKind.OTHER


async def _connect(arguments: Mapping[str, Any], **tls: Any) -> asyncpg.Connection[Any]:
    conn: asyncpg.Connection[Any] = await asyncpg.connect(**arguments, **tls)
    return conn


async def _negotiate(arguments: Mapping[str, Any], tls: Tls) -> asyncpg.Connection[Any]:
    """allow and prefer by hand: asyncpg can do neither with a given client certificate.

    As in libpq the second way is tried where the first was refused, not where the server is away or the password is wrong.
    """
    ways: list[Any] = [tls.ssl_context(alpn=_ALPN), False]
    if tls.mode is TlsMode.ALLOW:
        ways.reverse()
    try:
        return await _connect(arguments, ssl=ways[0])
    except (OSError, asyncpg.InvalidAuthorizationSpecificationError) as exc:
        refused = "rejected SSL upgrade" in str(exc) or _classify_one(exc) is FailureKind.CONFIGURATION
        if not refused or isinstance(exc, asyncpg.InvalidPasswordError):
            raise
        first = exc
    try:
        return await _connect(arguments, ssl=ways[1])
    except Exception as exc:
        raise exc from first


def _settle(cancelled: asyncio.CancelledError) -> None:
    """Keep asyncio from logging "Future exception was never retrieved" about a login that was cancelled.

    A cancel that comes between the TCP connection and asyncpg's first await on its TLS request makes asyncio close the
    transport, and asyncpg's protocol then fails a future that nobody will ever look at; so does a cancel in the same tick as
    the server's refusal. The one way to these futures is the frames that the traceback still holds: those of asyncio's
    `_create_connection_transport` (`protocol`) and of asyncpg's own `connect_utils` (`pr`, `connected`).
    """
    trace = cancelled.__traceback__
    while trace is not None:
        found = trace.tb_frame.f_locals
        for future in (
            getattr(found.get("protocol"), "on_data", None),
            getattr(found.get("pr"), "on_data", None),
            found.get("connected"),
        ):
            if isinstance(future, asyncio.Future) and not future.cancel() and not future.cancelled():
                future.exception()
        trace = trace.tb_next
