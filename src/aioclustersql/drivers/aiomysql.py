"""MySQL and MariaDB (Galera too) by way of aiomysql: its connections and their ends; all else is `mysql.driver`'s."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import aiomysql
from pymysql.charset import charset_by_name

from .aiomysql_connection import Connection, TlsConnection, Usual
from .aiomysql_wire import WIRE, drop
from .mysql import reset
from .mysql.driver import MySQLDriver
from .mysql.options import MySQLOptions
from .mysql.reset import Session
from .mysql.wire import plain_answer
from .sockets import last_received
from .tls import Tls

__all__ = ["AiomysqlDriver"]


def _has_charset(name: str) -> bool:
    try:
        return bool(charset_by_name(name).encoding)
    except (KeyError, AttributeError):  # which of them is a matter of PyMySQL's version
        return False


def _session(conn: Any, baseline: object) -> Session:
    """What a reset leads back to."""
    return baseline if isinstance(baseline, Session) else conn.login


def _usual(session: Session, statuses: list[int] | None) -> Usual | None:
    """What a server answers to a reset, as long as it answers as it did."""
    return Usual(session, b"".join(map(plain_answer, statuses)), statuses[-1]) if statuses is not None else None


class AiomysqlDriver(MySQLDriver[aiomysql.Connection]):
    """The driver `aiomysql`. Its connections are `aiomysql.Connection` objects."""

    def __init__(self) -> None:
        super().__init__(WIRE, MySQLOptions("aiomysql", aiomysql.connect, _has_charset))

    def make(self, arguments: Mapping[str, Any], tls: Tls | None) -> Connection:
        """As `MySQLDriver.make`."""
        context = None if tls is None else tls.ssl_context()
        if tls is None or context is None:
            return Connection(**arguments)
        conn = TlsConnection(**arguments, ssl=context)
        conn.tls_required = tls.required
        return conn

    def log_in(self, conn: Any) -> Coroutine[Any, Any, Any]:
        """As `MySQLDriver.log_in`."""
        # aiomysql.connect() would leave a cancelled login's socket to the garbage collector, which warns.
        opening: Coroutine[Any, Any, Any] = conn._connect()
        return opening

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

    async def reset(self, conn: Any, baseline: object) -> None:
        """As `MySQLDriver.reset`."""
        conn.usual = None
        statuses = await reset.reset(WIRE, conn, baseline if isinstance(baseline, Session) else None)
        conn.usual = _usual(_session(conn, baseline), statuses)

    def begin_reset(self, conn: Any, baseline: object, answered: Callable[[bool], None]) -> bool:
        """As `TasklessReset.begin_reset`."""
        begun: bool = conn.begin_reset(_session(conn, baseline), answered)
        return begun

    async def finish_reset(self, conn: Any, baseline: object) -> None:
        """As `TasklessReset.finish_reset`."""
        conn.usual = None
        session = _session(conn, baseline)
        conn.usual = _usual(session, await reset.finish(WIRE, conn, session))

    def is_closed(self, conn: aiomysql.Connection) -> bool:
        """Whether it was closed here, or an end of file or error from the server has been seen."""
        reader, writer = conn._reader, conn._writer
        if reader is None or writer is None:
            return True
        return bool(reader._eof or reader._exception is not None or writer.transport.is_closing())

    def last_received(self, conn: aiomysql.Connection) -> float | None:
        """As `Driver.last_received`."""
        writer = conn._writer
        return None if writer is None else last_received(writer.transport)
