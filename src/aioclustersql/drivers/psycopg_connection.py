"""psycopg's own connection, with an end to what psycopg waits for, and a memory.

Rule: nothing that a user can see differs, but that a cancelled query on a server which does not answer costs a quarter of a
second and then the connection, where psycopg waits for ten seconds.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import generators, waiting
from psycopg.abc import PQGen
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus

__all__ = ["PATIENCE", "Connection", "Session", "borrowed_socket", "inside", "is_closed", "simple", "terminate"]

T = TypeVar("T")

PATIENCE = 0.25
"""Seconds for the server to take note that a query was cancelled."""
_INTERVAL = 0.1
_HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
_OPEN = frozenset({TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE})


class Session(NamedTuple):
    """What a reset leads back to: what is set on this side, and the statement that sets again what `init` had set."""

    attributes: tuple[tuple[str, Any], ...]
    statement: str = ""


class Connection(psycopg.AsyncConnection[Any]):
    """A connection that is psycopg's own in all else."""

    login: Session
    """Set when it is logged in."""
    in_transaction: bool = False
    """What the server's last answer said; of a lost connection psycopg itself knows nothing any more."""

    async def wait(self, gen: PQGen[T], interval: float = _INTERVAL, timeout: float | None = None) -> T:
        limit: dict[str, Any] = {} if timeout is None else {"timeout": timeout}  # psycopg 3.2 has none
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, **limit)
        except BaseException as exc:
            if not isinstance(exc, Exception) and self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._stop_query(gen)
            raise
        finally:
            status = self.pgconn.transaction_status
            if status != TransactionStatus.UNKNOWN and status != TransactionStatus.ACTIVE:
                self.in_transaction = status != TransactionStatus.IDLE

    async def _stop_query(self, gen: PQGen[Any]) -> None:
        """Ask the server to stop, and read its answer. Where that does not come, the connection is closed."""
        try:
            async with asyncio.timeout(PATIENCE):
                if not psycopg.capabilities.has_cancel_safe():  # an older libpq would ask in a thread that nothing ends
                    raise TimeoutError
                await self.cancel_safe(timeout=PATIENCE)
                await waiting.wait_async(gen, self.pgconn.socket, interval=_INTERVAL)
        except psycopg.errors.QueryCanceled:
            pass
        except BaseException as exc:
            self.pgconn.finish()
            if not isinstance(exc, Exception):
                raise


async def simple(conn: psycopg.AsyncConnection[Any], query: str) -> list[tuple[str | None, ...]]:
    """Run statements in one round trip, whatever the autocommit mode; the rows of the last one, as text."""
    async with conn.lock:
        return await conn.wait(_simple(conn, query))


def _simple(conn: psycopg.AsyncConnection[Any], query: str) -> PQGen[list[tuple[str | None, ...]]]:
    conn._check_connection_ok()
    pgconn = conn.pgconn
    pgconn.send_query(query.encode(pgconn._encoding))
    results = yield from generators.execute(pgconn)
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result, encoding=pgconn._encoding)
    last = results[-1]
    return [
        tuple(
            None if (value := last.get_value(row, column)) is None else bytes(value).decode(pgconn._encoding)
            for column in range(last.nfields)
        )
        for row in range(last.ntuples)
    ]


def inside(conn: psycopg.AsyncConnection[Any]) -> bool:
    """Whether a transaction is open, as the server's last answer said."""
    status = conn.pgconn.transaction_status
    if status == TransactionStatus.UNKNOWN:
        return getattr(conn, "in_transaction", False)
    return status in _OPEN


def is_closed(conn: psycopg.AsyncConnection[Any]) -> bool:
    """Whether it was closed here, or the server has hung up, which psycopg itself notices at the next query only."""
    pgconn = conn.pgconn
    if pgconn.status != ConnStatus.OK:
        return True
    watch = select.poll()
    watch.register(pgconn.socket, _HUNG_UP)
    return any(event & _HUNG_UP for _, event in watch.poll(0))


def terminate(conn: psycopg.AsyncConnection[Any]) -> None:
    """Close at once. While a task waits on the socket, that is shut down and not closed: the event loop would go on watching its
    number, which may be another connection's by then."""
    if conn.pgconn.status != ConnStatus.OK:
        return
    if conn.lock.locked():
        with borrowed_socket(conn) as sock:
            sock.shutdown(socket.SHUT_RDWR)
    else:
        conn.pgconn.finish()


@contextmanager
def borrowed_socket(conn: psycopg.AsyncConnection[Any]) -> Iterator[socket.socket]:
    """The socket that libpq has, for a moment."""
    with socket.socket(fileno=os.dup(conn.pgconn.socket)) as sock:
        yield sock
