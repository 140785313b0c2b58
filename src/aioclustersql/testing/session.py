"""What a `FakeDriver` does with a connection after the login: ping, reset, transactions, probe.

Each asks the `FakeServer` once and takes what that one is told to take; transactions are statements like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aioclustersql.drivers.base import Observation, TransactionOptions, check_savepoint
from aioclustersql.failure import FailureKind

from .connection import FakeConnection

__all__ = ["FakeTransaction", "begin", "begin_reset", "finish_reset", "ping", "probe", "reset"]


class FakeTransaction:
    """A transaction or a savepoint of a `FakeConnection`; `savepoint` is the latter's name."""

    def __init__(self, conn: FakeConnection, savepoint: str | None) -> None:
        self.conn = conn
        self.savepoint = savepoint

    async def commit(self) -> None:
        """Send COMMIT, or RELEASE SAVEPOINT."""
        await self.conn.execute(f"RELEASE SAVEPOINT {self.savepoint}" if self.savepoint else "COMMIT")

    async def rollback(self) -> None:
        """Send ROLLBACK, or ROLLBACK TO SAVEPOINT."""
        await self.conn.execute(f"ROLLBACK TO SAVEPOINT {self.savepoint}" if self.savepoint else "ROLLBACK")


async def ping(conn: FakeConnection) -> None:
    """As `Driver.ping`, after `FakeServer.ping_delay`."""
    conn.check(FailureKind.FOUND_CLOSED)
    conn.server.pings += 1
    await conn.server.answer(conn.server.ping_delay, conn)
    conn.check(FailureKind.SESSION_LOST)


async def reset(conn: FakeConnection, baseline: Mapping[str, str]) -> None:
    """As `Driver.reset`, after `FakeServer.reset_delay`."""
    conn.check_open(FailureKind.FOUND_CLOSED)
    conn.server.resets += 1
    await conn.server.answer(conn.server.reset_delay, conn)
    finish_reset(conn, baseline)


def begin_reset(conn: FakeConnection, baseline: Mapping[str, str], answered: Callable[[bool], None]) -> bool:
    """As `TasklessReset.begin_reset`, unless `FakeServer.reset_answer` is `read`."""
    server, usual = conn.server, conn.server.reset_answer == "usual"
    if server.reset_answer == "read" or conn.closed:
        return False

    def then() -> None:
        if usual and not conn.closed:
            _as_new(conn, baseline)
        answered(usual and not conn.closed)

    server.resets += 1
    server.when_answered(server.reset_delay, conn, then)
    return True


def finish_reset(conn: FakeConnection, baseline: Mapping[str, str]) -> None:
    """As `TasklessReset.finish_reset`: the answer is there."""
    conn.check_open(FailureKind.SESSION_LOST)
    _as_new(conn, baseline)


def _as_new(conn: FakeConnection, baseline: Mapping[str, str]) -> None:
    conn.in_transaction = False
    conn.session = dict(baseline)


async def begin(conn: FakeConnection, options: TransactionOptions) -> FakeTransaction:
    """As `Driver.begin`: BEGIN [ISOLATION LEVEL ...] [DEFERRABLE] [READ ONLY], or SAVEPOINT s1, s2, ..."""
    if conn.in_transaction:
        check_savepoint(options)
        conn.savepoints += 1
        name = f"s{conn.savepoints}"
        await conn.execute(f"SAVEPOINT {name}")
        return FakeTransaction(conn, name)
    isolation = f" ISOLATION LEVEL {options.isolation.upper()}" if options.isolation else ""
    deferrable = " DEFERRABLE" if options.deferrable else ""
    readonly = " READ ONLY" if options.readonly else ""
    await conn.execute(f"BEGIN{isolation}{deferrable}{readonly}")
    return FakeTransaction(conn, None)


async def probe(conn: FakeConnection, *, causal: bool) -> Observation:
    """As `Driver.probe`, after `FakeServer.probe_delay`; `causal`: and `causal_delay` after that."""
    server = conn.server
    conn.check_open(FailureKind.FOUND_CLOSED)
    server.probes += 1
    await server.answer(server.probe_delay, conn)
    conn.check_open(FailureKind.SESSION_LOST)
    if causal:
        server.causal_probes += 1
        await server.answer(server.causal_delay, conn)
        conn.check_open(FailureKind.SESSION_LOST)
    ready = conn.ready and server.ready
    cause = server.cause or ("not ready" if not ready else "degraded" if server.degraded else None)
    return Observation(server.role, ready, server.degraded, cause, server.timeline, server.lag, server.lag_bytes)
