"""MySQL and MariaDB (Galera too) by way of aiomysql: login and farewell; all else is `mysql.driver`'s.

Connections are aiomysql's own. Rule: whatever ends a login early, its socket is closed before the exception leaves here.
"""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

import aiomysql
from pymysql.charset import charset_by_name

from ..failure import FailureKind
from .aiomysql_connection import Connection, TlsConnection
from .aiomysql_wire import WIRE, drop
from .base import Endpoint
from .mysql.driver import MySQLDriver
from .mysql.errors import HOST_BLOCKED_NOTE
from .mysql.options import MySQLOptions, as_latin1
from .mysql.reset import login_of
from .sockets import last_received
from .tls import Tls

__all__ = ["AiomysqlDriver"]


def _has_charset(name: str) -> bool:
    try:
        return bool(charset_by_name(name).encoding)
    except (KeyError, AttributeError):  # which of them is a matter of PyMySQL's version
        return False


class AiomysqlDriver(MySQLDriver[aiomysql.Connection]):
    """The driver `aiomysql`. Its connections are `aiomysql.Connection` objects."""

    def __init__(self) -> None:
        super().__init__(WIRE, MySQLOptions("aiomysql", aiomysql.connect, _has_charset))

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
        conn.login = login_of(WIRE, conn)
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

    def last_received(self, conn: aiomysql.Connection) -> float | None:
        """As `Driver.last_received`."""
        writer = conn._writer
        return None if writer is None else last_received(writer.transport)
