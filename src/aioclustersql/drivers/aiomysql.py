"""MySQL and MariaDB (Galera too) by way of aiomysql: login, validation, farewell, meaning of errors.

Connections are aiomysql's own. What becomes of one in use is in `aiomysql_reset` and `aiomysql_transaction`; nodes are probed in
`aiomysql_probe`. Rule: whatever ends a login early, its socket is closed before the exception leaves here.
"""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import aiomysql
from pymysql.constants import COMMAND

from ..errors import ConfigError, NodeNotFit
from ..failure import FailureKind
from ..node import Role, Target
from . import aiomysql_probe, aiomysql_reset, aiomysql_transaction
from .aiomysql_connection import Connection, TlsConnection
from .aiomysql_options import SCHEMES, as_latin1, override_endpoint, parse_endpoint
from .aiomysql_wire import answer, drop, error_code, is_on, rows, run, text
from .base import Endpoint, Observation, Transaction, TransactionOptions
from .mysql_errors import HOST_BLOCKED_NOTE, classify_code
from .sockets import classify_os_error, last_received
from .tls import Tls

__all__ = ["AiomysqlDriver"]

_READY = "DO 1"
# EXP(710) overflows, and only where it is evaluated: an error on MySQL, a warning in the answer's header on MariaDB.
# CONCAT, because read_only is a number up to MariaDB 11 and a word (OFF, ON, NO_LOCK, ...) after it.
_WRITABLE = "DO IF(CONCAT(@@global.read_only) IN ('0', 'OFF'), 1, EXP(710))"
_OUT_OF_RANGE = 1690
_READ_ONLY = "SELECT @@global.read_only"
_ROLE = "SELECT @@global.read_only, @@global.wsrep_on"
_ROLE_ANYWHERE = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'wsrep_on')"  # slower, but MySQL has no wsrep_on
_UNKNOWN_VARIABLE = 1193

_TEXTS = (
    # aiomysql and the libraries under it raise these without a code
    ("Not connected", FailureKind.FOUND_CLOSED),
    ("Cancelled during execution", FailureKind.FOUND_CLOSED),
    ("Packet sequence number wrong", FailureKind.SESSION_LOST),
    ("caching sha2", FailureKind.CONFIGURATION),
    ("server's public key", FailureKind.CONFIGURATION),
    ("extra packet for auth method", FailureKind.CONFIGURATION),
    ("'cryptography' package is required", FailureKind.CONFIGURATION),
    ("the handler is closed", FailureKind.FOUND_CLOSED),  # uvloop, on writing to a closed transport
)


class AiomysqlDriver:
    """The driver `aiomysql`. Its connections are `aiomysql.Connection` objects."""

    name = "aiomysql"
    schemes = SCHEMES

    def parse(self, dsn: str, options: Mapping[str, Any]) -> Endpoint:
        """A node's URL and its connect options; see `parse_endpoint`."""
        return parse_endpoint(dsn, options)

    def override(self, endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
        """The options of one connect over the node's; see `override_endpoint`."""
        return override_endpoint(endpoint, options)

    async def connect(self, endpoint: Endpoint, password: str | None) -> aiomysql.Connection:
        """Log in. A unix socket is never encrypted, as in libpq. What is in a `read_default_file` moves no node.

        The autocommit mode is set by `validate`, which has a statement to send anyway: a round trip less.
        """
        conn = self._new(endpoint, password)
        wanted, conn.autocommit_mode = conn.autocommit_mode, None
        try:
            # aiomysql.connect() would leave a cancelled login's socket to the garbage collector, which warns.
            await conn._connect()
        except BaseException as exc:
            self.terminate(conn)
            if isinstance(exc, aiomysql.Error) and self.classify(exc) is FailureKind.HOST_BLOCKED:
                exc.add_note(HOST_BLOCKED_NOTE)
            raise
        conn.autocommit_mode = wanted
        conn.login = aiomysql_reset.login_of(conn)
        return conn

    def _new(self, endpoint: Endpoint, password: str | None) -> Connection:
        arguments = dict(endpoint.arguments)
        if password is not None:
            arguments["password"] = as_latin1(password)
        tls: Tls | None = endpoint.extra
        context = tls.ssl_context() if tls is not None and "unix_socket" not in arguments else None
        conn: Connection
        if tls is None or context is None:
            conn = Connection(**arguments)
        else:
            conn = TlsConnection(**arguments, ssl=context)
            conn.tls_required = tls.required
        if "read_default_file" in arguments:
            # In aiomysql the file goes over the arguments, and a `host` in it would make all nodes one.
            conn._unix_socket = arguments.get("unix_socket")
            conn._host, conn._port = arguments.get("host", "localhost"), arguments.get("port", 3306)
        return conn

    async def validate(self, conn: aiomysql.Connection, target: Target) -> Role:
        """One round trip for `any` and `read-write`: 1047 on a Galera node that serves nothing."""
        if target is Target.ANY:
            await self._do(conn, _READY)
            return Role.UNKNOWN
        if target in (Target.READ_WRITE, Target.PRIMARY):
            if await self._writable(conn):
                return Role.PRIMARY
        else:
            await self._do(conn, _READY)
        read_only, galera = await self._role(conn)
        if galera and target is Target.STANDBY:
            raise NodeNotFit(
                "a Galera node is no standby, all its nodes hold the same rank; use target='prefer-standby' or 'any', "
                "or 'read-only' for a node with read_only=1",
                lasting=True,
            )
        if galera:
            return Role.READ_ONLY if read_only else Role.PEER
        return Role.STANDBY if read_only else Role.PRIMARY

    async def _writable(self, conn: aiomysql.Connection) -> bool:
        try:
            warnings = await self._do(conn, _WRITABLE)
        except aiomysql.Error as exc:
            if error_code(exc) != _OUT_OF_RANGE:
                raise
        else:
            if warnings == 0:
                return True
        ((read_only,),) = await rows(conn, _READ_ONLY)
        return not is_on(read_only)

    async def _do(self, conn: aiomysql.Connection, statement: str) -> int:
        """Run a statement without a result, in one round trip with the autocommit mode where that has to be set.

        Returns its number of warnings. Reads the answers itself, because `conn.query` costs twice as much of our time.
        """
        mode = conn.autocommit_mode
        if mode is not None and mode != conn.get_autocommit():
            await conn._execute_command(COMMAND.COM_QUERY, f"SET AUTOCOMMIT = {int(mode)};{statement}")
            try:
                await answer(conn)
            except aiomysql.ProgrammingError:  # a proxy between that takes one statement at a time
                await conn.autocommit(mode)
            else:
                return await answer(conn)
        return await run(conn, statement)

    async def _role(self, conn: aiomysql.Connection) -> tuple[bool, bool]:
        """Whether it is read_only, and whether it is a Galera node."""
        if "MariaDB" in conn.get_server_info():
            try:
                ((read_only, galera),) = await rows(conn, _ROLE)
                return is_on(read_only), is_on(galera)
            except aiomysql.Error as exc:
                if error_code(exc) != _UNKNOWN_VARIABLE:  # built without wsrep
                    raise
        values = {text(name): value for name, value in await rows(conn, _ROLE_ANYWHERE)}
        return is_on(values["read_only"]), is_on(values.get("wsrep_on", 0))

    async def close(self, conn: aiomysql.Connection) -> None:
        """Say goodbye, so that the server counts no aborted client, and wait until the socket is closed."""
        writer = conn._writer
        if writer is None:
            return
        try:
            if not self.is_closed(conn):
                await conn.ensure_closed()
                await writer.wait_closed()
        except OSError:
            pass  # it went away before or while we said goodbye: closed it is
        finally:
            conn._writer = None
            writer.transport.abort()

    def terminate(self, conn: aiomysql.Connection) -> None:
        """Close the socket at once. A task that is waiting for a result there gets error 2013."""
        drop(conn)

    def is_closed(self, conn: aiomysql.Connection) -> bool:
        """Whether it was closed here, or an end of file or error from the server has been seen."""
        reader, writer = conn._reader, conn._writer
        if reader is None or writer is None:
            return True
        return bool(reader.eof_received or reader.exception() is not None or writer.transport.is_closing())

    async def ping(self, conn: aiomysql.Connection) -> None:
        """As `Driver.ping`. Not COM_PING, which a Galera node answers that serves nothing."""
        await run(conn, _READY)

    async def baseline(self, conn: aiomysql.Connection) -> aiomysql_reset.Session:
        """As `Driver.baseline`: charset, autocommit mode, default database, system variables; on MariaDB the role, and what
        user variables hold text or numbers.
        """
        return await aiomysql_reset.baseline(conn)

    async def reset(self, conn: aiomysql.Connection, baseline: object) -> None:
        """As `Driver.reset`, in one round trip (the first one of a connection to MariaDB in two). Raises 2014 in the middle of an
        unbuffered result. A proxy between has to take commands that are sent without waiting for each answer.
        """
        ours = cast("Connection", conn)  # as all that `connect` has made
        await aiomysql_reset.reset(ours, baseline if isinstance(baseline, aiomysql_reset.Session) else None)

    def in_transaction(self, conn: aiomysql.Connection) -> bool:
        """As `Driver.in_transaction`. An error carries no status: what a deadlock rolled back shows with the next answer."""
        return aiomysql_transaction.in_transaction(conn)

    async def begin(self, conn: aiomysql.Connection, options: TransactionOptions) -> Transaction:
        """As `Driver.begin`, in one round trip; what ends it restores the autocommit mode in the same."""
        return await aiomysql_transaction.begin(conn, options)

    async def probe(self, conn: aiomysql.Connection, *, causal: bool) -> Observation:
        """As `Driver.probe`. A server with read_only=1 and without Galera is a standby, whose lag is None where the user has no
        right to ask for it (REPLICATION CLIENT; MariaDB: SLAVE MONITOR).
        """
        return await aiomysql_probe.probe(conn, causal=causal)

    def last_received(self, conn: aiomysql.Connection) -> float | None:
        """As `Driver.last_received`."""
        writer = conn._writer
        return None if writer is None else last_received(writer.transport)

    def unwrap(self, conn: object) -> object:
        """Its pool hands out the connections themselves."""
        return conn

    def classify(self, exc: BaseException) -> FailureKind:
        """The first meaning found along `__cause__`; of error 2003 the cause tells more than the code."""
        wrapped: FailureKind | None = None
        step: BaseException | None = exc
        while step is not None:
            kind = _meaning(step)
            if kind is not None and kind is not FailureKind.UNREACHABLE:
                return kind
            wrapped, step = wrapped or kind, step.__cause__
        return wrapped or FailureKind.OTHER


def _meaning(exc: BaseException) -> FailureKind | None:
    """What this one exception says, whatever caused it."""
    if isinstance(exc, ConfigError):
        return FailureKind.CONFIGURATION
    code = error_code(exc)
    if code is not None:
        return classify_code(code, str(exc))
    if isinstance(exc, aiomysql.Error | RuntimeError):
        return next((kind for text, kind in _TEXTS if text in str(exc)), None)
    return classify_os_error(exc)
