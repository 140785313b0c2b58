"""What `transaction()` returns: a transaction from the entering to the leaving of an `async with` block, run once.

Retries of the whole unit are `run`'s (see `work`). Rule: the connection goes back where it came from, whatever happens inside.
"""

from __future__ import annotations

from types import TracebackType
from typing import Generic, TypeVar

from ..drivers.base import check_savepoint
from ..policy import retry
from ..policy.retry import Action, Phase
from .beginning import Beginner, Request
from .begun import EARLY_END, NO_ANSWER, Begun
from .trail import Trail

__all__ = ["Transacting"]

C = TypeVar("C")


class Transacting(Generic[C]):
    """One transaction, used once; nothing runs before it is entered.

    async with cluster.transaction() as conn: ...

    Entering takes a lease and begins a transaction there, elsewhere if a node cannot, within `timeout` seconds. With `conn` it
    begins on that connection, or sets a savepoint where a transaction is open, and the connection stays the caller's. Leaving
    commits, or rolls back where the block raised (a cancel too); a rollback that is not done within a second closes the
    connection. Raises what `Leases.acquire` raises and the driver's errors; `TransactionOutcomeUnknown` where COMMIT was sent
    and not answered, or the transaction had ended before it.
    """

    __slots__ = ("_beginner", "_begun", "_conn", "_request", "_timeout", "_trail")

    def __init__(self, beginner: Beginner[C], request: Request, timeout: float, conn: C | None = None) -> None:
        self._beginner = beginner
        self._request = request
        self._timeout = timeout
        self._conn = conn
        self._begun: Begun[C] | None = None
        self._trail: Trail | None = None

    def __repr__(self) -> str:
        state = "not entered" if self._trail is None else "begun" if self._begun is not None else "over"
        return f"<transaction, {state}>"

    async def __aenter__(self) -> C:
        if self._trail is not None:
            raise RuntimeError("this transaction was used already; call transaction() again for another one")
        self._trail = Trail(self._timeout)
        if self._conn is None:
            self._begun = await self._beginner.begin(self._request, self._trail)
            return self._begun.conn
        self._begun = await self._begin_on(self._conn)
        return self._conn

    async def _begin_on(self, given: C) -> Begun[C]:
        registry, options = self._beginner.registry, self._request.options
        driver = registry.driver
        conn: C = driver.unwrap(given)  # type: ignore[assignment]  # inside a proxy for a C there is a C
        nested = driver.in_transaction(conn)
        if nested:
            check_savepoint(options)
        transaction = await driver.begin(conn, options)
        node = next((member.name for member in registry.members if member.issued(conn)), "of the given connection")
        return Begun(driver, self._beginner.leases, conn, transaction, node=node, nested=nested)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        begun, self._begun = self._begun, None
        assert begun is not None  # noqa: S101 - it was entered
        if exc is None:
            await self._commit(begun)
            return
        if isinstance(exc, Exception):
            begun.meaning(exc)  # the node's health hears of it
            if not begun.open:
                exc.add_note(f"aioclustersql: {EARLY_END}")
        await begun.abandon()

    async def _commit(self, begun: Begun[C]) -> None:
        if not begun.open:
            begun.release()
            raise self._unknown(begun, EARLY_END)
        if begun.nested:  # what it did stands or falls with the transaction around it, and so does the connection
            await begun.commit()
            return
        try:
            await begun.commit()
        except Exception as exc:
            await self._commit_failed(begun, exc)
            raise
        except BaseException as exc:
            begun.discard()
            exc.add_note(begun.cancelled_in_commit)
            raise
        begun.release()

    async def _commit_failed(self, begun: Begun[C], exc: Exception) -> None:
        assert self._trail is not None  # noqa: S101 - it was entered
        if retry.action(begun.meaning(exc), Phase.COMMITTING, lost=begun.closed) is not Action.UNKNOWN:
            await begun.settle()
            self._trail.heed_cancel(exc)
            return
        begun.discard()
        self._trail.heed_cancel(exc, begun.cancelled_in_commit)
        raise self._unknown(begun, f"{NO_ANSWER}: {self._beginner.registry.describe(exc)}") from exc

    def _unknown(self, begun: Begun[C], why: str) -> Exception:
        self._beginner.registry.journal.unknown(begun.node, why)
        return begun.unknown(why)
