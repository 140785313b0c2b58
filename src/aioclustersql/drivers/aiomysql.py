"""MySQL and MariaDB (Galera too) by way of aiomysql: login, validation, farewell, meaning of errors.

Connections are aiomysql's own. Rule: whatever ends a login early, its socket is closed before the exception leaves here.
"""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any

import aiomysql
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import OKPacketWrapper

from ..errors import ConfigError, NodeNotFit
from ..failure import FailureKind
from ..node import Role, Target
from .aiomysql_options import SCHEMES, as_latin1, override_endpoint, parse_endpoint
from .base import Endpoint
from .mysql_errors import HOST_BLOCKED_NOTE, classify_code
from .sockets import classify_os_error
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

_NO_ROWS = b"\0\0\0"
"""How the answer to a statement that changes no row begins: success, no row, no new key."""
_STATUS = Struct("<3xHH")
"""What follows that: the session's status, and the number of warnings."""

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


class _LoggingIn(aiomysql.Connection):
    """A connection until it is logged in, whose socket gets its options while it is being read.

    aiomysql stops the reading and resumes it, for each of two options; that is a twentieth of what a login costs us.
    """

    def _set_keep_alive(self) -> None:
        writer: Any = self._writer
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _set_nodelay(self, value: bool) -> None:
        pass  # it is on: asyncio's and uvloop's TCP transports set it when they are made


class _TlsConnection(_LoggingIn):
    """A connection that keeps its word about TLS, when it logs in and when its `ping` reconnects.

    aiomysql logs in unencrypted, and so would hand a password to whoever stands in between, when the greeting says that
    the server cannot encrypt. The greeting is the last moment to refuse; aiomysql has no hook there.
    """

    tls_required = True

    async def _get_server_information(self) -> None:
        await super()._get_server_information()
        if self.tls_required and not self.server_capabilities & CLIENT.SSL:
            raise aiomysql.OperationalError(2026, "TLS is required (sslmode), but the server does not offer it")

    def _close_on_cancel(self) -> None:
        _drop(self)  # closing would wait for the server's part of TLS's farewell, half a minute on a silent one
        super()._close_on_cancel()


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
        if not isinstance(conn, _TlsConnection):
            conn.__class__ = aiomysql.Connection  # what users get is the driver's own
        return conn

    def _new(self, endpoint: Endpoint, password: str | None) -> aiomysql.Connection:
        arguments = dict(endpoint.arguments)
        if password is not None:
            arguments["password"] = as_latin1(password)
        tls: Tls | None = endpoint.extra
        context = tls.ssl_context() if tls is not None and "unix_socket" not in arguments else None
        conn: aiomysql.Connection
        if tls is None or context is None:
            conn = _LoggingIn(**arguments)
        else:
            conn = _TlsConnection(**arguments, ssl=context)
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
            if _code(exc) != _OUT_OF_RANGE:
                raise
        else:
            if warnings == 0:
                return True
        ((read_only,),) = await self._rows(conn, _READ_ONLY)
        return not _is_on(read_only)

    async def _do(self, conn: aiomysql.Connection, statement: str) -> int:
        """Run a statement without a result, in one round trip with the autocommit mode where that has to be set.

        Returns its number of warnings. Reads the answers itself, because `conn.query` costs twice as much of our time.
        """
        mode = conn.autocommit_mode
        if mode is not None and mode != conn.get_autocommit():
            await conn._execute_command(COMMAND.COM_QUERY, f"SET AUTOCOMMIT = {int(mode)};{statement}")
            try:
                await self._answer(conn)
            except aiomysql.ProgrammingError:  # a proxy between that takes one statement at a time
                await conn.autocommit(mode)
            else:
                return await self._answer(conn)
        await conn._execute_command(COMMAND.COM_QUERY, statement)
        return await self._answer(conn)

    async def _answer(self, conn: aiomysql.Connection) -> int:
        packet = await conn._read_packet()
        data: bytes = packet.get_all_data()
        warnings: int
        if data.startswith(_NO_ROWS) and len(data) >= _STATUS.size:
            conn.server_status, warnings = _STATUS.unpack_from(data)
        else:
            answer = OKPacketWrapper(packet)
            conn.server_status, warnings = answer.server_status, answer.warning_count
        return warnings

    async def _role(self, conn: aiomysql.Connection) -> tuple[bool, bool]:
        """Whether it is read_only, and whether it is a Galera node."""
        if "MariaDB" in conn.get_server_info():
            try:
                ((read_only, galera),) = await self._rows(conn, _ROLE)
                return _is_on(read_only), _is_on(galera)
            except aiomysql.Error as exc:
                if _code(exc) != _UNKNOWN_VARIABLE:  # built without wsrep
                    raise
        values = {_text(name): value for name, value in await self._rows(conn, _ROLE_ANYWHERE)}
        return _is_on(values["read_only"]), _is_on(values.get("wsrep_on", 0))

    async def _rows(self, conn: aiomysql.Connection, sql: str) -> Sequence[tuple[Any, ...]]:
        async with conn.cursor(aiomysql.Cursor) as cursor:
            await cursor.execute(sql)
            rows: Sequence[tuple[Any, ...]] = await cursor.fetchall()
            return rows

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
        _drop(conn)

    def is_closed(self, conn: aiomysql.Connection) -> bool:
        """Whether it was closed here, or an end of file or error from the server has been seen."""
        reader, writer = conn._reader, conn._writer
        if reader is None or writer is None:
            return True
        return bool(reader.eof_received or reader.exception() is not None or writer.transport.is_closing())

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
    code = _code(exc)
    if code is not None:
        return classify_code(code, str(exc))
    if isinstance(exc, aiomysql.Error | RuntimeError):
        return next((kind for text, kind in _TEXTS if text in str(exc)), None)
    return classify_os_error(exc)


def _code(exc: BaseException) -> int | None:
    """The error code of the server or the client library; 0 counts as none."""
    return exc.args[0] if isinstance(exc, aiomysql.Error) and exc.args and isinstance(exc.args[0], int) and exc.args[0] else None


def _is_on(value: object) -> bool:
    """A boolean system variable's value: a number or a word."""
    return _text(value).upper() not in ("0", "OFF")


def _text(value: object) -> str:
    """A value as text; with `use_unicode=False` words are bytes."""
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _drop(conn: aiomysql.Connection) -> None:
    """Cut the socket off. Not by aiomysql's close(): that waits for TLS's farewell, and it takes the reader away, so that a
    task in the middle of a result would stumble over None."""
    writer, conn._writer = conn._writer, None
    if writer is not None:
        writer.transport.abort()
