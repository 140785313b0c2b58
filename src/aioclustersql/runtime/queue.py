"""Those who wait for a lease: first come, first served among those who want the same.

A connection is handed over only to somebody who is still there; one who leaves with it in hand gives it back unused. Rule:
whoever waits is woken exactly once, by a connection or by an error.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from ..errors import ClusterError, TooManyWaiters
from ..node import Wants
from ..policy.demand import drain_time
from ..policy.leasing import worth
from ..policy.ledger import Book
from .alarm import Alarm
from .pooled import Pooled, Waiting
from .returner import CHECK_AFTER
from .traces import here, timed_out

if TYPE_CHECKING:
    from .pool import Pool

__all__ = ["Queue"]

C = TypeVar("C")


class Queue(Generic[C]):
    """The queue of one pool."""

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = pool
        self._alarm = Alarm(pool.loop, self._expire)

    def stop(self) -> None:
        """Send everybody away: the cluster is being closed."""
        self._alarm.stop()
        for waiter in self._waiters():
            self._refuse(waiter, self._pool.not_open())

    async def wait(self, wants: Wants, now: float, deadline: float) -> Pooled[C]:
        """A lease, when `take` had none: one that comes back, or is opened. Raises as `Cluster.acquire`."""
        journal = self._pool.registry.journal
        try:
            waiter = self._enter(wants, now, deadline)
            try:
                slot = await waiter.future
            except BaseException:
                self._leave(waiter)
                raise
        except ClusterError as exc:
            journal.not_acquired(exc, self._pool.loop.time() - now)
            raise
        journal.totals.waits.observe(slot.since - now)
        return slot

    def _enter(self, wants: Wants, now: float, deadline: float) -> Waiting[C]:
        pool, settings = self._pool, self._pool.settings
        if pool.is_closing:
            raise pool.not_open()
        waiter: Waiting[C] = Waiting(wants, now, deadline, pool.loop, here() if settings.debug else None)
        if deadline <= now:
            raise timed_out(pool, waiter, now)
        waiting = pool.ledger.waiting
        if 0 < settings.max_waiting <= waiting:
            cluster = pool.registry.cluster
            raise TooManyWaiters(f"cluster {cluster!r}: {waiting} callers wait for a connection already (max_waiting)")
        pool.ledger.enqueue(waiter)
        self._alarm.set(deadline)
        pool.opener.consider(wants, now)
        return waiter

    def _leave(self, waiter: Waiting[C]) -> None:
        """Cancelled, or refused; what was handed over meanwhile goes to the next."""
        self._pool.ledger.withdraw(waiter)
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            self._pool.give_back_unused(future.result())

    def _expire(self, now: float) -> float:
        """Refuse those whose time is over. Returns the earliest deadline of the others."""
        earliest = math.inf
        for waiter in self._waiters():
            if waiter.deadline <= now:
                self._refuse(waiter, timed_out(self._pool, waiter, now))
            else:
                earliest = min(earliest, waiter.deadline)
        return earliest

    def _waiters(self) -> list[Waiting[C]]:
        return [cast("Waiting[C]", waiter) for group in self._pool.ledger.groups.values() for waiter in group]

    def _refuse(self, waiter: Waiting[C], error: Exception) -> None:
        self._pool.ledger.withdraw(waiter)
        if not waiter.future.done():
            waiter.future.set_exception(error)

    def serve(self, slot: Pooled[C], now: float) -> None:
        """It goes to whoever has waited for longest, else it is idle."""
        ledger, book = self._pool.ledger, slot.book
        while ledger.waiting:
            waiter = ledger.next_waiter(lambda wants: self._is_worth_it(wants, book, now, in_hand=True))
            if waiter is None:
                break
            if not slot.serves_unasked(waiter.wants.target):
                self._pool.returner.ask_role(slot, waiter.wants.target)
                return
            ledger.withdraw(waiter)
            if self._hand_over(cast("Waiting[C]", waiter), slot, now):
                return
        ledger.settle(slot, now)
        for wants in list(ledger.groups):
            # A far node is not worth it yet. When it is, nobody may come back to tell, so somebody has to look.
            if any(offer.book is book for offer in self._pool.supply.of(wants, now).far):
                self._pool.opener.consider(wants, now)

    def _is_worth_it(self, wants: Wants, book: Book, now: float, *, in_hand: bool = False) -> bool:
        """Whether those who want this are better served there, by an idle connection or the one in hand, than by waiting on."""
        serving = self._pool.supply.of(wants, now)
        queue = drain_time(self._pool.ledger, wants, [offer.book for offer in serving.near], now) if serving.far else 0.0
        return worth(serving, book, self._pool.ledger.waiting, queue, in_hand=in_hand)

    def _hand_over(self, waiter: Waiting[C], slot: Pooled[C], now: float) -> bool:
        """False: he had left."""
        if waiter.future.done():
            return False
        self._pool.ledger.lease(slot, now)
        slot.book.chosen = self._pool.next_turn()
        self._pool.lend(slot, waiter.task, waiter.place)
        waiter.future.set_result(slot)
        return True

    def serve_idle(self) -> None:
        """Hand idle connections to those who wait and are served by them."""
        now = self._pool.loop.time()
        for book in list(self._pool.ledger.books.values()):
            for slot in reversed(book.idle.copy()):
                if self._pool.ledger.next_waiter(lambda wants: self._is_worth_it(wants, book, now)) is None:  # noqa: B023 - used at once
                    break
                if now - slot.since >= CHECK_AFTER:
                    self._pool.returner.check(cast("Pooled[C]", slot))
                else:
                    self._pool.ledger.look_at(slot, now)
                    self._pool.available(cast("Pooled[C]", slot), now)

    def fail_all(self, wants: Wants, error: Exception) -> None:
        """Nobody will ever serve those who want this."""
        for waiter in list(self._pool.ledger.groups.get(wants, ())):
            self._refuse(cast("Waiting[C]", waiter), error)
