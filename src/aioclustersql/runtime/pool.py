"""The pool: leases go out and come back. It performs what `policy.ledger` and `policy.leasing` decide.

Who has to wait is in `queue`, logins are started in `opener`, connections made ready for the next user in `returner`; what time
does is in `keeper`, what becomes of the nodes in `follower`. Rule: whoever takes a connection out of the books owns it, and
nothing here waits while it holds one that nobody else knows of.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence
from typing import Any, Generic, TypeVar, cast

from ..errors import ClusterError, NotLeased, NotOpen, UnknownNode
from ..failure import FailureKind
from ..node import Wants
from ..policy.leasing import pick
from ..policy.ledger import Book, Ledger, Limits, State
from .adopter import Adopter
from .attempt import GOODBYE
from .disposal import Disposal
from .follower import Follower
from .keeper import Keeper
from .member import Member
from .opener import Opener
from .pooled import Pooled
from .queue import Queue
from .registry import Registry
from .returner import CHECK_AFTER, Returner
from .settings import PoolSettings
from .supply import Supply
from .traces import here

__all__ = ["Pool"]

C = TypeVar("C")

_LOST = frozenset({FailureKind.SESSION_LOST, FailureKind.FOUND_CLOSED, FailureKind.IDLE_CLOSED})


class Pool(Generic[C]):
    """The pool of one cluster, from `open` to `close`, in one event loop. Satisfies `lease.Leases`."""

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
        self._totals = registry.journal.totals
        self._is_closed = self._driver.is_closed
        self._slots: dict[int, Pooled[C]] = {}
        self._turn = 0
        self._closing = False
        self._all_back: asyncio.Future[None] | None = None
        self.queue: Queue[C] = Queue(self)
        self.supply: Supply[C] = Supply(registry, self.ledger)
        self.follower: Follower[C] = Follower(self)
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
            self.follower.keep_book(member)
        self.keeper.start()

    async def stop(self, deadline: float) -> None:
        """Let leases end until the deadline, then interrupt them."""
        self._closing = True
        self.keeper.stop()
        self.opener.stop()
        self.adopter.stop()
        self.queue.stop()
        for book in self.ledger.books.values():
            book.closed = True
            self.close_idle(book)
        self.follower.wake()
        try:
            if self._any_leased():
                self._all_back = self._all_back or self.loop.create_future()
                patience = None if deadline == math.inf else max(0.0, deadline - self.loop.time())
                await asyncio.wait([self._all_back], timeout=patience)
            await self.returner.wait(max(0.0, deadline - self.loop.time()))
        finally:  # also when the caller is cancelled: nothing may be left
            for member in {slot.member for slot in self._slots.values()}:
                self.cut(member, "it was closed itself")
            await self.adopter.over()
            await self.returner.cut()

    # -- acquire -------------------------------------------------------------------------------------------------------

    def take(self, wants: Wants, avoid: Collection[str] = ()) -> Pooled[C] | None:
        """A lease, if there is one at hand. Never waits: this is the way of nearly every acquire."""
        ledger = self.ledger
        if self._closing or (ledger.waiting and wants in ledger.groups):  # first come, first served
            return None
        now = self.loop.time()
        serving = self.supply.asked(wants, now)
        while (book := pick(serving, self.registry.rng, ledger.waiting, avoid)) is not None:
            slot = cast("Pooled[C]", book.idle[-1])
            if not ledger.is_good(slot, now) or self._is_closed(slot.conn):
                self.close(slot)
            elif now - slot.since >= CHECK_AFTER:
                self.returner.check(slot)
            elif not slot.serves_unasked(wants.target):
                ledger.look_at(slot, now)
                self.returner.ask_role(slot, wants.target)
            else:
                ledger.take(book, now)
                self._totals.at_once += 1
                book.chosen = self._turn = self._turn + 1
                self.lend(slot, asyncio.current_task(self.loop), here() if self.settings.debug else None)
                return slot
        return None

    async def acquire(self, wants: Wants, deadline: float, *, interrupt: bool = True, avoid: Collection[str] = ()) -> Pooled[C]:
        """A lease within the deadline. Raises as `Cluster.acquire`."""
        slot = self.take(wants, avoid)
        if slot is None:
            slot = await self.queue.wait(wants, self.loop.time(), deadline)
        slot.interrupt = interrupt
        return slot

    @staticmethod
    def lend(slot: Pooled[C], owner: asyncio.Task[object] | None, place: str | None) -> None:
        """Note whose it is now."""
        slot.turn += 1
        slot.owner = owner
        slot.cut = None
        slot.taken_at = place

    def not_open(self) -> NotOpen:
        """The error of who comes too late."""
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
            self.registry.journal.left_in_transaction(slot.node, slot.taken_at)
            self.returner.reset(slot, now)
        elif settings.always_reset:
            self.returner.reset(slot, now)
        elif ledger.is_too_full(slot.book):
            self.close(slot)
        elif ledger.waiting:
            ledger.give_back(slot, now)
            self.queue.serve(slot, now)
        else:
            ledger.put_back(slot, now)
        if self._all_back is not None:
            self._see_whether_all_are_back()

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

    def give_back_unused(self, slot: Pooled[C]) -> None:
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
        if self._is_closed(slot.conn):
            self.close(slot)
        else:
            self.answered(slot, now)

    def answered(self, slot: Pooled[C], now: float) -> None:
        """As `available`, for one that has answered at this moment, and so is open."""
        if not self.ledger.is_good(slot, now) or self.ledger.is_too_full(slot.book):
            self.close(slot)
        else:
            self.queue.serve(slot, now)

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

    def close_idle(self, book: Book, *, abruptly: bool = False) -> None:
        """Close what is idle on a node."""
        for slot in list(book.idle):
            self.close(cast("Pooled[C]", slot), abruptly=abruptly)

    # -- all of a node's, or of all nodes ------------------------------------------------------------------------------

    def next_turn(self) -> int:
        """A number that grows with every choice."""
        self._turn += 1
        return self._turn

    def cut(self, member: Member[C], cause: str) -> int:
        """End every lease on a node now: its user's query fails at once. Returns how many there were."""
        slots = [slot for slot in self._slots.values() if slot.member is member and slot.state is State.LEASED]
        return self.interrupt(member, cause, slots)

    def interrupt(self, member: Member[C], cause: str, slots: Sequence[Pooled[C]]) -> int:
        """End these leases on a node."""
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
            self.follower.keep_book(member)
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
        """A lease ends together with its block, perhaps by an exception; not every one came from this connection."""
        if exc is not None:
            foreign = isinstance(exc, ClusterError) or (isinstance(exc, OSError) and not self._is_closed(slot.conn))
            if isinstance(exc, Exception) and not foreign:
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


def _by(slot: Pooled[Any]) -> str:
    return f", at {slot.returned_at}" if slot.returned_at else ""
