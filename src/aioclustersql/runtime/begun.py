"""A transaction that has begun, and the connection it is on: how it is ended, whatever happens meanwhile.

When to end it how is decided in `work` and `transacting`. Rule: a connection whose transaction cannot be undone in time is
closed, which undoes it as well; nobody waits longer.
"""

from __future__ import annotations

import logging
from typing import Generic, TypeVar

import anyio

from ..drivers.base import Driver, Transaction
from ..errors import ClusterError, TransactionOutcomeUnknown
from ..failure import FailureKind
from .lease import Lease, Leases

__all__ = ["EARLY_END", "NO_ANSWER", "ROLLBACK", "ROLLBACK_LATE", "Begun"]

C = TypeVar("C")

_log = logging.getLogger("aioclustersql.pool")

ROLLBACK, ROLLBACK_LATE = 1.0, 0.1
"""Seconds for a rollback; and for one after the caller's deadline, which he set to be answered by."""
EARLY_END = (
    "the transaction had ended before it was to be committed: by an implicit commit (DDL on MySQL and MariaDB), by a COMMIT or "
    "ROLLBACK of its own, or by an error that rolled it back and was caught inside; parts of it may be committed"
)
NO_ANSWER = "COMMIT was sent and may or may not have been carried out"


class Begun(Generic[C]):
    """One transaction. With `lease` the connection is the pool's, without one it is the user's own."""

    __slots__ = ("_driver", "_leases", "_transaction", "conn", "lease", "nested", "node")

    def __init__(
        self,
        driver: Driver[C],
        leases: Leases[C],
        conn: C,
        transaction: Transaction,
        *,
        node: str,
        lease: Lease[C] | None = None,
        nested: bool = False,
    ) -> None:
        self._driver = driver
        self._leases = leases
        self._transaction = transaction
        self.conn = conn
        self.lease = lease
        self.node = node
        self.nested = nested

    @property
    def open(self) -> bool:
        """Whether the transaction is still the one that was begun, as far as the server's last answer tells."""
        return self._driver.in_transaction(self.conn)

    @property
    def closed(self) -> bool:
        """Whether the connection is known to be closed."""
        return self._driver.is_closed(self.conn)

    @property
    def cancelled_in_commit(self) -> str:
        """The note for a caller who was cancelled while COMMIT was under way."""
        return f"aioclustersql: COMMIT was under way on node {self.node}: whether it was carried out is unknown"

    def unknown(self, why: str) -> TransactionOutcomeUnknown:
        """The error for a transaction whose end nobody knows."""
        return TransactionOutcomeUnknown(f"on node {self.node}: {why}", self.node)

    async def commit(self) -> None:
        """COMMIT, or RELEASE SAVEPOINT; raises the driver's errors."""
        await self._transaction.commit()

    def meaning(self, error: Exception) -> FailureKind:
        """What an exception that was raised in this transaction means for it; the node's health hears of it.

        Not every one is the driver's: a `TimeoutError` or a reset while this connection is open came from another socket, and
        an error of this library from another call.
        """
        if isinstance(error, ClusterError) or (isinstance(error, OSError) and not self.closed):
            return FailureKind.OTHER
        if self.lease is None:
            return self._driver.classify(error)
        kind = self._leases.failed(self.lease, error)
        if kind is not FailureKind.OTHER or self.closed:
            self._leases.note(self.lease, error)
        return kind

    async def undo(self, within: float = ROLLBACK) -> bool:
        """Roll back in that time; whether it was done. A caller that is cancelled meanwhile still is."""
        if self.closed:
            return False
        with anyio.move_on_after(within, shield=True):
            try:
                await self._transaction.rollback()
            except Exception as exc:  # noqa: BLE001 - what went wrong before it is what the caller is told
                _log.debug("rolling back on node %s failed: %s", self.node, type(exc).__name__)
                return False
            return True
        return False

    async def abandon(self, within: float = ROLLBACK) -> None:
        """Undo it and give the connection back, or close it; a connection of the user's own stays his."""
        undone = False
        try:
            undone = await self.undo(within)
        finally:
            if undone:
                self.release()
            else:
                self.discard()

    async def settle(self) -> None:
        """After a COMMIT that the server refused. An error of MySQL does not tell whether the transaction is still open."""
        if self.open:
            await self.abandon()
        else:
            self.release()

    def release(self) -> None:
        """Give the connection back to the pool, if it came from there."""
        if self.lease is not None:
            self._leases.release(self.lease)

    def discard(self) -> None:
        """Close the connection: what is open on it nobody knows."""
        if self.lease is not None:
            self._leases.discard(self.lease)
        else:
            self._driver.terminate(self.conn)
