"""MySQL and MariaDB (Galera too) by way of asyncmy: login and farewell; all else is `mysql.driver`'s.

Connections are asyncmy's own. Rule: whatever ends a login early, its socket is closed before the exception leaves here; asyncmy
itself leaks the descriptor of a connection that is dropped unclosed.
"""

from __future__ import annotations

from typing import Any

import asyncmy
from asyncmy import errors
from asyncmy.charset import charset_by_name

from ..failure import FailureKind
from .asyncmy_connection import WIRE, Connection, drop
from .base import Endpoint
from .mysql.driver import MySQLDriver
from .mysql.errors import HOST_BLOCKED_NOTE
from .mysql.options import MySQLOptions, as_latin1
from .mysql.reset import login_of
from .sockets import last_received
from .tls import Tls

__all__ = ["AsyncmyDriver"]

_REFUSED = {
    "password_creator": "give the function as password=, which every driver takes",
    "sock": "a node's address is in its URL, and a pool opens many connections to it",
}


def _has_charset(name: str) -> bool:
    try:
        return bool(charset_by_name(name).encoding)
    except (KeyError, AttributeError):
        return False


class AsyncmyDriver(MySQLDriver[asyncmy.Connection]):
    """The driver `asyncmy`. Its connections are `asyncmy.Connection` objects."""

    def __init__(self) -> None:
        super().__init__(WIRE, MySQLOptions("asyncmy", asyncmy.connect, _has_charset, _REFUSED))

    async def connect(self, endpoint: Endpoint, password: str | None) -> asyncmy.Connection:
        """Log in. A unix socket is never encrypted, as in libpq. What is in a `read_default_file` moves no node.

        The autocommit mode is set by `validate`, which has a statement to send anyway: a round trip less.
        """
        conn = self._new(endpoint, password)
        wanted, conn.autocommit_mode = conn.autocommit_mode, None
        try:
            await conn.connect()
        except BaseException as exc:
            self.terminate(conn)
            if isinstance(exc, errors.Error) and self.classify(exc) is FailureKind.HOST_BLOCKED:
                exc.add_note(HOST_BLOCKED_NOTE)
            raise
        conn.autocommit_mode = wanted
        conn.login = login_of(WIRE, conn)
        return conn

    def _new(self, endpoint: Endpoint, password: str | None) -> Connection:
        arguments = dict(endpoint.arguments)
        if password is not None:
            arguments["password"] = as_latin1(password)
        tls: Tls | None = endpoint.extra
        context = tls.ssl_context() if tls is not None and "unix_socket" not in arguments else None
        conn = Connection(**arguments, ssl=context)  # type: ignore[no-untyped-call]
        conn.tls_required = tls is not None and tls.required
        if "read_default_file" in arguments:
            conn._unix_socket = arguments.get("unix_socket")
            conn._host, conn._port = arguments.get("host", "localhost"), arguments.get("port", 3306)
        return conn

    async def close(self, conn: Any) -> None:
        """Say goodbye, so that the server counts no aborted client, and wait until the socket is closed."""
        transport = conn._transport
        if transport is None:
            return
        try:
            if not self.is_closed(conn):
                await conn.ensure_closed()
        except OSError:
            pass  # it went away before or while we said goodbye: closed it is
        finally:
            drop(conn)
            transport.abort()

    def terminate(self, conn: asyncmy.Connection) -> None:
        """Close the socket at once. A task that is waiting for a result there gets error 2013."""
        drop(conn)

    def is_closed(self, conn: Any) -> bool:
        """Whether it was closed here, or an end of file or error from the server has been seen; asyncmy's flag says it late."""
        return not conn._connected or bool(conn._stream_broken)

    def last_received(self, conn: Any) -> float | None:
        """As `Driver.last_received`."""
        return last_received(conn._transport)
