"""MySQL and MariaDB (Galera too) by way of asyncmy: its connections and their ends; all else is `mysql.driver`'s.

asyncmy itself leaks the descriptor of a connection that is dropped unclosed: none is, here.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

import asyncmy
from asyncmy.charset import charset_by_name

from .asyncmy_connection import WIRE, Connection, drop
from .mysql.driver import MySQLDriver
from .mysql.options import MySQLOptions
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

    def make(self, arguments: Mapping[str, Any], tls: Tls | None) -> Connection:
        """As `MySQLDriver.make`."""
        context = None if tls is None else tls.ssl_context()
        conn = Connection(**arguments, ssl=context)  # type: ignore[no-untyped-call]
        conn.tls_required = tls is not None and tls.required
        return conn

    def log_in(self, conn: Any) -> Coroutine[Any, Any, Any]:
        """As `MySQLDriver.log_in`."""
        opening: Coroutine[Any, Any, Any] = conn.connect()
        return opening

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
