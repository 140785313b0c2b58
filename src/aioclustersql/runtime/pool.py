"""The pool: leases go out and come back. It performs what `policy.ledger` and `policy.leasing` decide.

Logins are started in `opener`, connections made ready for the next user in `returner`, what time does is in `keeper`. Rule:
whoever takes a connection out of the books owns it, and nothing here waits while it holds one that nobody else knows of.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, cast

from ..errors import ClusterError, NotLeased, NotOpen, TooManyWaiters, UnknownNode
from ..failure import FailureKind
from ..node import Target, Wants
from ..policy.demand import drain_time
from ..policy.leasing import Offer, Serving, arrange, pick, worth
from ..policy.ledger import Book, Ledger, Limits, State
from ..policy.ranking import Fit
from .adopter import Adopter
from .alarm import Alarm
from .attempt import GOODBYE
from .disposal import Disposal
from .keeper import Keeper
from .member import Member
from .opener import Opener
from .pooled import Pooled, Waiting
from .registry import Registry
from .returner import Returner
from .traces import here, timed_out

__all__ = ["Pool", "PoolSettings"]

C = TypeVar("C")

LOOK_AGAIN = 0.02
"""For so many seconds the nodes that serve a want are kept; a change of health, role or lag is seen at once."""
OF_LATE = 60.0
"""What nobody has asked for in so many seconds, connections are not spread for."""
CHECK_AFTER = 30.0
"""A connection that was idle for so many seconds is asked whether it is alive before it is leased."""
_LOST = frozenset({FailureKind.SESSION_LOST, FailureKind.FOUND_CLOSED, FailureKind.IDLE_CLOSED})
_log = logging.getLogger("aioclustersql.pool")


@dataclass(frozen=True, slots=True)
class PoolSettings(Generic[C]):
    """What stays the same while a pool is open."""

    target: Target
    """For connections that nobody waits for."""
    max_waiting: int
    connect_timeout: float
    init: Callable[[C], Awaitable[object]] | None
    reset: Callable[[C], Awaitable[object]] | None
    always_reset: bool
    """False: only what comes back in a transaction is reset."""
    debug: bool


class _Known(NamedTuple):
    until: float
    serving: Serving


class Pool(Generic[C]):
    """The pool of one cluster, from `open` to `close`, in one event loop. Satisfies `lease.Leases` and the registry's hooks."""

    def __init__(
        self,
        registry: Registry[C],
        disposal: Disposal[C],
        settings: PoolSettings[C],
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
    ) -> None:
        self.registry = registry
        self.disposal = disposal
        self.settings = settings
        self.loop = loop
        self.ledger: Ledger[Wants] = Ledger(limits)
        self._driver = registry.driver
        self._is_closed = self._driver.is_closed
        self._slots: dict[int, Pooled[C]] = {}
        self._known: dict[Wants, _Known] = {}
        self._asked: dict[Wants, float] = {}
        """When each want was asked for last, within `LOOK_AGAIN`."""
        self._turn = 0
        self._closing = False
        self._changes: list[asyncio.Future[Any]] = []
        self._all_back: asyncio.Future[None] | None = None
        self._alarm = Alarm(loop, self._expire)
        self.opener: Opener[C] = Opener(self)
        self.adopter: Adopter[C] = Adopter(self)
        self.returner: Returner[C] = Returner(self)
        self.keeper: Keeper[C] = Keeper(self)

    def __repr__(self) -> str:
        books = ", ".join(map(repr, self.ledger.books.values()))
        return f"<Pool of {self.registry.cluster!r}: {self.ledger.waiting} waiting; {books}>"

    @property
    def is_closing(self) -> bool:
        """Whether it ends, or has ended."""
        return self._closing

    # -- from open to close --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Keep books of the registered nodes from now on, and open what is to be open. Waits for nothing."""
        for member in self.registry.members:
            self._keep_book(member)
        self.keeper.start()

    async def stop(self, deadline: float) -> int:
        """Let leases end until the deadline, then interrupt them. Returns how many were interrupted."""
        self._closing = True
        self.keeper.stop()
        self.opener.stop()
        self.adopter.stop()
        self._alarm.stop()
        for waiter in self._waiters():
            self._refuse(waiter, self._not_open())
        for book in self.ledger.books.values():
            book.closed = True
            self._close_idle(book)
        self._wake()
        interrupted = 0
        try:
            if self._any_leased():
                self._all_back = self._all_back or self.loop.create_future()
                patience = None if deadline == math.inf else max(0.0, deadline - self.loop.time())
                await asyncio.wait([self._all_back], timeout=patience)
            await self.returner.wait(max(0.0, deadline - self.loop.time()))
        finally:  # also when the caller is cancelled: nothing may be left
            for member in {slot.member for slot in self._slots.values()}:
                interrupted += self._cut(member, "it was closed itself", lambda _: True)
            await self.adopter.over()
            await self.returner.cut()
        return interrupted

    # -- acquire -------------------------------------------------------------------------------------------------------

    def take(self, wants: Wants, avoid: Collection[str] = ()) -> Pooled[C] | None:
        """A lease, if there is one at hand. Never waits: this is the way of nearly every acquire."""
        ledger = self.ledger
        if self._closing or (ledger.waiting and wants in ledger.groups):  # first come, first served
            return None
        now = self.loop.time()
        known = self._known.get(wants)
        if known is not None and now < known.until:
            serving = known.serving
        else:
            self._asked[wants] = now
            serving = self.serving(wants, now)
        while (book := pick(serving, self.registry.rng, ledger.waiting, avoid)) is not None:
            slot = cast("Pooled[C]", book.idle[-1])
            if not ledger.is_good(slot, now) or self._is_closed(slot.conn):
                self.close(slot)
            elif now - slot.since >= CHECK_AFTER:
                self.returner.check(slot)
            else:
                ledger.take(book, now)
                self._turn = book.chosen = self._turn + 1
                self._lent(slot, asyncio.current_task(self.loop), here() if self.settings.debug else None)
                return slot
        return None

    async def acquire(self, wants: Wants, deadline: float, *, interrupt: bool = True, avoid: Collection[str] = ()) -> Pooled[C]:
        """A lease within the deadline. Raises as `Cluster.acquire`."""
        slot = self.take(wants, avoid)
        if slot is None:
            slot = await self.wait(wants, deadline)
        slot.interrupt = interrupt
        return slot

    async def wait(self, wants: Wants, deadline: float) -> Pooled[C]:
        """A lease, when `take` had none: one that comes back, or is opened. Raises as `Cluster.acquire`."""
        if self._closing:
            raise self._not_open()
        loop, settings = self.loop, self.settings
        now = loop.time()
        waiter: Waiting[C] = Waiting(wants, now, deadline, loop, here() if settings.debug else None)
        if deadline <= now:
            raise timed_out(self, waiter, now)
        if 0 < settings.max_waiting <= self.ledger.waiting:
            raise TooManyWaiters(
                f"cluster {self.registry.cluster!r}: {self.ledger.waiting} callers wait for a connection already (max_waiting)"
            )
        self.ledger.enqueue(waiter)
        self._alarm.set(deadline)
        self.opener.consider(wants, now)
        try:
            return await waiter.future
        except BaseException:
            self.ledger.withdraw(waiter)
            future = waiter.future
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back_unused(future.result())
            raise

    def _expire(self, now: float) -> float:
        """Refuse those whose time is over. Returns the earliest deadline of the others."""
        earliest = math.inf
        for waiter in self._waiters():
            if waiter.deadline <= now:
                self._refuse(waiter, timed_out(self, waiter, now))
            else:
                earliest = min(earliest, waiter.deadline)
        return earliest

    def _waiters(self) -> list[Waiting[C]]:
        return [cast("Waiting[C]", waiter) for group in self.ledger.groups.values() for waiter in group]

    def _refuse(self, waiter: Waiting[C], error: Exception) -> None:
        self.ledger.withdraw(waiter)
        if not waiter.future.done():
            waiter.future.set_exception(error)

    @staticmethod
    def _lent(slot: Pooled[C], owner: asyncio.Task[object] | None, place: str | None) -> None:
        slot.turn += 1
        slot.owner = owner
        slot.cut = None
        slot.taken_at = place

    def _not_open(self) -> NotOpen:
        return NotOpen(f"cluster {self.registry.cluster!r} is being closed")

    # -- release -------------------------------------------------------------------------------------------------------

    def release(self, slot: Pooled[C]) -> None:
        """A lease ends. The connection is made ready for the next user in the background; nobody waits for that."""
        if slot.state is not State.LEASED:
            if slot.cut is None:
                raise NotLeased(f"this connection of node {slot.node!r} was returned already{_by(slot)}")
            return
        ledger, settings, conn = self.ledger, self.settings, slot.conn
        now = self.loop.time()
        slot.turn += 1
        slot.owner = None
        if settings.debug:
            slot.returned_at = here()
        if self._is_closed(conn):
            if slot.generation == slot.book.generation:
                self.registry.session_lost(slot.member, FailureKind.SESSION_LOST, ConnectionError("a lease came back closed"))
            self.close(slot)
        elif not ledger.is_good(slot, now):
            self.close(slot)
        elif self._driver.in_transaction(conn):
            self._warn_of_a_transaction(slot)
            self.returner.reset(slot, now)
        elif settings.always_reset:
            self.returner.reset(slot, now)
        elif ledger.is_too_full(slot.book):
            self.close(slot)
        elif ledger.waiting:
            ledger.give_back(slot, now)
            self._serve(slot, now)
        else:
            ledger.put_back(slot, now)
        if self._all_back is not None:
            self._see_whether_all_are_back()

    def _warn_of_a_transaction(self, slot: Pooled[C]) -> None:
        taken = f"; it was taken at {slot.taken_at}" if slot.taken_at else ""
        _log.warning(
            "cluster %s: a connection on node %s was returned in a transaction, which is rolled back%s",
            self.registry.cluster,
            slot.node,
            taken,
        )

    def discard(self, slot: Pooled[C]) -> None:
        """A lease ends, and its connection is closed."""
        slot.owner = None
        self.close(slot)
        self._see_whether_all_are_back()

    def lease_of(self, conn: object) -> Pooled[C]:
        """The lease of a connection. Raises `UnknownNode` for one that is not the pool's."""
        slot = self._slots.get(id(conn))
        if slot is None or slot.conn is not conn:
            raise UnknownNode(
                f"this {type(conn).__name__} was not acquired from cluster {self.registry.cluster!r}, or is closed already"
            )
        return slot

    def _give_back_unused(self, slot: Pooled[C]) -> None:
        """It was handed over to somebody who had left."""
        now = self.loop.time()
        slot.owner = None
        self.ledger.give_back(slot, now, used=False)
        self.available(slot, now)
        self._see_whether_all_are_back()

    def _see_whether_all_are_back(self) -> None:
        back = self._all_back
        if back is not None and not back.done() and not self._any_leased():
            back.set_result(None)

    def _any_leased(self) -> bool:
        return any(slot.state is State.LEASED for slot in self._slots.values())

    # -- what becomes of a connection ----------------------------------------------------------------------------------

    async def set_up(self, conn: C) -> object:
        """Let the user's `init` set up a new connection. Returns what a reset is to restore."""
        if self.settings.init is not None:
            await self.settings.init(conn)
        return await self._driver.baseline(conn)

    def add(self, slot: Pooled[C], book: Book) -> None:
        """A connection was opened."""
        now = self.loop.time()
        self.ledger.add(slot, book, now, self.registry.rng)
        self._slots[id(slot.conn)] = slot
        slot.member.know(slot.conn)
        self.available(slot, now)

    def available(self, slot: Pooled[C], now: float) -> None:
        """One that is in our hands is ready: it is served, if it is still good."""
        if not self.ledger.is_good(slot, now) or self._is_closed(slot.conn) or self.ledger.is_too_full(slot.book):
            self.close(slot)
        else:
            self._serve(slot, now)

    def _serve(self, slot: Pooled[C], now: float) -> None:
        """It goes to whoever has waited for longest, else it is idle."""
        ledger, book = self.ledger, slot.book
        while ledger.waiting:
            waiter = ledger.next_waiter(lambda wants: self._is_worth_it(wants, book, now))
            if waiter is None:
                break
            ledger.withdraw(waiter)
            if self._hand_over(cast("Waiting[C]", waiter), slot, now):
                return
        ledger.settle(slot, now)

    def _is_worth_it(self, wants: Wants, book: Book, now: float) -> bool:
        """Whether those who want this are better served there than by waiting on."""
        serving = self.serving(wants, now)
        queue = drain_time(self.ledger, wants, [offer.book for offer in serving.near], now) if serving.far else 0.0
        return worth(serving, book, self.ledger.waiting, queue)

    def _hand_over(self, waiter: Waiting[C], slot: Pooled[C], now: float) -> bool:
        """False: he had left."""
        if waiter.future.done():
            return False
        self.ledger.lease(slot, now)
        self._turn = slot.book.chosen = self._turn + 1
        self._lent(slot, waiter.task, waiter.place)
        waiter.future.set_result(slot)
        return True

    def close(self, slot: Pooled[C], *, abruptly: bool = False) -> None:
        """Take a connection out of the books and close it: with a goodbye, or `abruptly`."""
        if not self._forget(slot):
            return
        if abruptly or self._is_closed(slot.conn):
            self._driver.terminate(slot.conn)
        else:
            self.disposal.close(self._driver, slot.conn, GOODBYE)
        self.opener.made_room()

    def _forget(self, slot: Pooled[C]) -> bool:
        self._slots.pop(id(slot.conn), None)
        return self.ledger.drop(slot, self.loop.time())

    def _close_idle(self, book: Book, *, abruptly: bool = False) -> None:
        for slot in list(book.idle):
            self.close(cast("Pooled[C]", slot), abruptly=abruptly)

    # -- what is known of the nodes ------------------------------------------------------------------------------------

    def serving(self, wants: Wants, now: float) -> Serving:
        """The nodes that serve a want, by what is known of them."""
        known = self._known.get(wants)
        if known is not None and now < known.until:
            return known.serving
        serving = arrange(
            Offer(
                self.ledger.books[member.name],
                fit,
                member.round_trip.estimate(now),
                member.weight,
                last_resort=now < member.avoid_until,
            )
            for member in self.registry.members
            if member.usable and (fit := self.registry.standing.serves(member, wants, now)) is not Fit.NO
        )
        self._known[wants] = _Known(now + LOOK_AGAIN, serving)
        return serving

    def anybody(self) -> Serving:
        """All nodes, whatever is known of them: never fail from memory alone."""
        return arrange(Offer(self.ledger.books[member.name], weight=member.weight) for member in self.registry.members)

    def servings(self) -> list[Serving]:
        """The nodes of every want that was asked for of late; the others are forgotten."""
        now = self.loop.time()
        self._asked = {wants: when for wants, when in self._asked.items() if now - when < OF_LATE}
        self._known = {wants: known for wants, known in self._known.items() if wants in self._asked}
        return [self.serving(wants, now) for wants in self._asked]

    def next_turn(self) -> int:
        """A number that grows with every choice."""
        self._turn += 1
        return self._turn

    async def next_change(self, timeout: float | None) -> None:
        """Until something is known anew of a node, or so many seconds."""
        change = self.loop.create_future()
        self._changes.append(change)
        await asyncio.wait([change], timeout=timeout)

    def member(self, book: Book) -> Member[C]:
        """The node of these books."""
        return self.registry.get(book.name)

    def changed(self, member: Member[C]) -> None:
        """It came or went, or its health, role, lag, weight or address is another: whoever waits may be served there now, or no
        more. What is leased on a node that is removed or draining is its users' until they return it.
        """
        self._known.clear()
        self.opener.changed(member)
        self._keep_book(member)
        self._wake()
        if self.ledger.waiting:
            self.serve_idle()
            self.opener.consider_all()

    def _wake(self) -> None:
        for change in self._changes:
            if not change.done():
                change.set_result(None)
        self._changes.clear()

    def _keep_book(self, member: Member[C]) -> None:
        book = self.ledger.books.get(member.name)
        if not self.registry.is_current(member):
            if book is not None and self.registry.find(member.name) is None:
                self._close_idle(self.ledger.close_book(member.name))
            return
        if book is None:
            book = self.ledger.open_book(member.name)
            book.generation = member.generation
        book.closed = member.draining or self._closing
        if book.closed or book.generation != member.generation:
            book.generation = member.generation
            self._close_idle(book)

    def serve_idle(self) -> None:
        """Hand idle connections to those who wait and are served by them."""
        now = self.loop.time()
        for book in list(self.ledger.books.values()):
            for slot in reversed(book.idle.copy()):
                if self.ledger.next_waiter(lambda wants: self._is_worth_it(wants, book, now)) is None:  # noqa: B023 - used at once
                    break
                if now - slot.since >= CHECK_AFTER:
                    self.returner.check(cast("Pooled[C]", slot))
                else:
                    self.ledger.look_at(slot, now)
                    self.available(cast("Pooled[C]", slot), now)

    def lost(self, member: Member[C], cause: str, *, silent: bool) -> None:
        """A node was found down: its idle connections are closed. `silent`: so is what is leased there, if it may be."""
        self._known.clear()
        book = self.ledger.books.get(member.name)
        if book is None:
            return
        book.generation = member.generation
        self._close_idle(book, abruptly=silent)
        if silent:
            for slot in list(book.returning):
                self.close(cast("Pooled[C]", slot), abruptly=True)
            self._cut(member, f"the node was found silent: {cause}", lambda slot: slot.interrupt)

    def connections(self, member: Member[C]) -> list[C]:
        """What is open on a node."""
        book = self.ledger.books.get(member.name)
        return [] if book is None else [cast("Pooled[C]", slot).conn for slot in book]

    def cut(self, member: Member[C], cause: str) -> int:
        """End every lease on a node now: its user's query fails at once. Returns how many there were."""
        return self._cut(member, cause, lambda _: True)

    def _cut(self, member: Member[C], cause: str, which: Callable[[Pooled[C]], bool]) -> int:
        slots = [slot for slot in self._slots.values() if slot.member is member and slot.state is State.LEASED and which(slot)]
        for slot in slots:
            slot.cut = cause
            self._forget(slot)
        return self.registry.interruptions.interrupt(self._driver, member, [slot.conn for slot in slots], cause)

    def leased(self, member: Member[C]) -> int:
        """How many connections of a node are with users, or on their way back."""
        return sum(1 for slot in self._slots.values() if slot.member is member and slot.state is not State.IDLE)

    def expire(self, node: str | None = None) -> None:
        """Replace every connection, or those of one node: idle ones now, leased ones when they come back."""
        for member in self.registry.members if node is None else (self.registry.get(node),):
            member.generation += 1
            self._keep_book(member)
        self.keeper.sweep()

    def resize(self, limits: Limits) -> None:
        """Other sizes from now on; what is leased and too much is closed when it comes back."""
        self.ledger.resize(limits)
        self.keeper.sweep()
        self.opener.consider_all()

    # -- failures ------------------------------------------------------------------------------------------------------

    def failed(self, slot: Pooled[C], exc: BaseException) -> FailureKind:
        """A user met this exception on his lease: tell the health of the node, and never reuse a connection that is lost."""
        kind = self._driver.classify(exc)
        if kind in _LOST:
            slot.retire_at = -math.inf
        if slot.cut is None:
            self.registry.session_lost(slot.member, kind, exc, generation=slot.generation)
        return kind

    def end(self, slot: Pooled[C], exc: BaseException | None) -> None:
        """A lease ends together with its block, perhaps by an exception."""
        if isinstance(exc, Exception):
            self.failed(slot, exc)
            self.note(slot, exc)
        self.release(slot)

    def note(self, slot: Pooled[C], exc: BaseException) -> None:
        """Say in the exception which node it was, and why the connection was cut, if it was."""
        where = f"on node {slot.node!r} ({slot.member.endpoint.address})"
        if slot.cut is not None:
            exc.add_note(f"{where}: the connection was closed by the cluster: {slot.cut}")
        elif self._driver.classify(exc) is not FailureKind.OTHER and not isinstance(exc, ClusterError):
            exc.add_note(where)

    def fail_all(self, wants: Wants, error: Exception) -> None:
        """Nobody will ever serve those who want this."""
        for waiter in list(self.ledger.groups.get(wants, ())):
            self._refuse(cast("Waiting[C]", waiter), error)


def _by(slot: Pooled[Any]) -> str:
    return f", at {slot.returned_at}" if slot.returned_at else ""
