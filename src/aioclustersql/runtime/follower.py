"""How a pool follows its nodes: they come, go, fall silent, are promoted, drained, and come back.

The registry calls it (see `hooks`), after the change is complete. Rule: the books are those of the registered nodes, and what is
leased on a node that is removed or drained is its users' until they return it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .member import Member
from .pooled import Pooled

if TYPE_CHECKING:
    from .pool import Pool

__all__ = ["Follower"]

C = TypeVar("C")


class Follower(Generic[C]):
    """The ears of one pool. Satisfies `hooks.Hooks`."""

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = pool
        self._changes: list[asyncio.Future[Any]] = []

    def changed(self, member: Member[C]) -> None:
        """It came or went, or its health, role, lag, weight or address is another: whoever waits may be served there now."""
        self._pool.supply.forget()
        self._pool.opener.changed(member)
        self.keep_book(member)
        self.wake()
        if self._pool.ledger.waiting:
            self._pool.queue.serve_idle()
            self._pool.opener.consider_all()

    def wake(self) -> None:
        """Let those look who wait for a change."""
        for change in self._changes:
            if not change.done():
                change.set_result(None)
        self._changes.clear()

    def keep_book(self, member: Member[C]) -> None:
        """Open its books, or close them, or begin a new generation."""
        book = self._pool.ledger.books.get(member.name)
        if not self._pool.registry.is_current(member):
            if book is not None and self._pool.registry.find(member.name) is None:
                self._pool.close_idle(self._pool.ledger.close_book(member.name))
            return
        if book is None:
            book = self._pool.ledger.open_book(member.name)
            book.generation, book.lease_times = member.generation, member.lease_times
        book.closed = member.draining or self._pool.is_closing
        if book.closed or book.generation != member.generation:
            book.generation = member.generation
            self._pool.close_idle(book)

    async def next_change(self, timeout: float | None) -> None:
        """Until something is known anew of a node, or so many seconds."""
        change = self._pool.loop.create_future()
        self._changes.append(change)
        await asyncio.wait([change], timeout=timeout)

    def lost(self, member: Member[C], cause: str, *, silent: bool) -> None:
        """A node was found down: its idle connections are closed. `silent`: so is what is leased there, if it may be."""
        self._pool.supply.forget()
        book = self._pool.ledger.books.get(member.name)
        if book is None:
            return
        book.generation = member.generation
        self._pool.close_idle(book, abruptly=silent)
        if silent:
            for slot in list(book.returning):
                self._pool.close(cast("Pooled[C]", slot), abruptly=True)
            leased = [cast("Pooled[C]", slot) for slot in book.leased]
            self._pool.interrupt(member, f"the node was found silent: {cause}", [slot for slot in leased if slot.interrupt])

    def connections(self, member: Member[C]) -> list[C]:
        """What is open on a node."""
        book = self._pool.ledger.books.get(member.name)
        return [] if book is None else [cast("Pooled[C]", slot).conn for slot in book]
