"""The pool's books: which connection is where, who waits for one, and what may be opened. Pure: the time is an argument.

Whoever performs (`runtime.pool`) asks first and does afterwards; nothing here opens, closes or wakes anything. Whether a login is
worth its cost is decided in `demand`. Rule: a connection
is in one state at a time, and the sizes of a book are counted from what stands in it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from .health import Rng
from .histogram import Tally

__all__ = ["Book", "Ledger", "Limits", "Slot", "State", "Waiter"]

LOGINS = 2
"""So many logins of the pool are under way on one node at once, at most."""
JITTER = 0.1
"""Lifetimes and idle times are shortened by up to this part, so that what was opened together does not end together."""
USE_ALPHA, USE_CAP, USE_NOISE = 0.1, 4.0, 0.001
"""Weight of a new sample in the average time that a connection is held, and how many times the average it counts at most (or
so many seconds): one lease of an hour is not the rule."""


class State(Enum):
    """Where a connection of the pool is."""

    IDLE = auto()
    LEASED = auto()
    RETURNING = auto()
    """Being reset, or looked at, by us."""
    GONE = auto()
    """Out of the books: closed, or about to be."""


_IDLE, _LEASED, _RETURNING, _GONE = State  # looked up once: on Python 3.11 a member costs ten times as much as a name


@dataclass(frozen=True, slots=True)
class Limits:
    """What the pool may hold: connections per node, in all (`math.inf`: no bound), and for how many seconds."""

    min_size: int = 0
    max_size: int = 10
    max_total: float = math.inf
    max_lifetime: float = 3600.0
    max_idle_time: float = 600.0


class Slot:
    """One connection, as the books know it. Times are the caller's clock."""

    __slots__ = ("book", "generation", "idle_for", "retire_at", "since", "state")

    def __init__(self) -> None:
        self.book: Book = _NOWHERE
        self.state = _GONE
        self.generation = 0
        self.since = 0.0
        """When its state began."""
        self.retire_at = math.inf
        self.idle_for = math.inf
        """Seconds that it may stay idle."""


class Book:
    """The connections of one node."""

    __slots__ = ("chosen", "closed", "connecting", "generation", "idle", "lease_times", "leased", "name", "returning")

    def __init__(self, name: str) -> None:
        self.name = name
        self.idle: list[Slot] = []
        """The one returned last is the last: it is taken first, so that the others may grow old enough to be closed."""
        self.leased: set[Slot] = set()
        self.returning: set[Slot] = set()
        self.connecting = 0
        self.generation = 0
        self.chosen = 0
        """When it was chosen last: a number that the caller makes grow with every choice."""
        self.closed = False
        """Draining, or removed: nothing is added, and what comes back is closed."""
        self.lease_times = Tally()

    @property
    def busy(self) -> int:
        """Connections that serve somebody, or are being made ready for the next."""
        return len(self.leased) + len(self.returning)

    @property
    def size(self) -> int:
        """All, and those to come."""
        return len(self.idle) + len(self.leased) + len(self.returning) + self.connecting

    def __iter__(self) -> Iterator[Slot]:
        yield from (*self.idle, *self.leased, *self.returning)

    def __repr__(self) -> str:
        closed = ", closed" if self.closed else ""
        return (
            f"<Book {self.name}: idle {len(self.idle)}, leased {len(self.leased)}, returning {len(self.returning)}, "
            f"connecting {self.connecting}, generation {self.generation}{closed}>"
        )


_NOWHERE = Book("")

W = TypeVar("W", bound=Hashable)


@dataclass(slots=True, eq=False)
class Waiter(Generic[W]):
    """Somebody who waits for a connection; `wants` says which."""

    wants: W
    since: float
    number: int = 0


class Ledger(Generic[W]):
    """The books of all nodes, and the queue: first come, first served among those who want the same."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.books: dict[str, Book] = {}
        self.groups: dict[W, OrderedDict[Waiter[W], None]] = {}
        """Who waits, by what is wanted, each group in the order of its coming."""
        self.waiting = 0
        self.use: float | None = None
        """For how many seconds a connection is held, on average; `None` before the first came back."""
        self._arrivals = 0
        self._resized = False
        """Whether there may be more than the limits allow, since they were changed."""

    # -- books ---------------------------------------------------------------------------------------------------------

    def open_book(self, name: str) -> Book:
        """The books of a node that was registered."""
        book = self.books[name] = Book(name)
        return book

    def close_book(self, name: str) -> Book:
        """Forget a node: its idle connections are to be closed now, what else it has when it comes back."""
        book = self.books.pop(name)
        book.closed = True
        book.generation += 1
        return book

    @property
    def total(self) -> int:
        """Connections of all nodes, those to come included."""
        return sum(book.size for book in self.books.values())

    def has_room(self, book: Book) -> bool:
        """Whether one more connection may be opened there now."""
        return (
            not book.closed
            and book.connecting < LOGINS
            and book.size < self.limits.max_size
            and self.total < self.limits.max_total
        )

    def resize(self, limits: Limits) -> None:
        """Other limits from now on."""
        self.limits = limits
        self._resized = True

    def is_too_full(self, book: Book) -> bool:
        """Whether there are more connections, there or in all, than there may be since the limits were changed."""
        if not self._resized:  # nearly always: what is opened fits the limits of its time
            return False
        limits, total = self.limits, self.total
        self._resized = total > limits.max_total or any(each.size > limits.max_size for each in self.books.values())
        return book.size > limits.max_size or total > limits.max_total

    def add(self, slot: Slot, book: Book, now: float, rng: Rng) -> None:
        """A connection was opened: it is being looked at by us until `settle`, `lease` or `drop`."""
        slot.book, slot.generation = book, book.generation
        slot.retire_at = now + self.limits.max_lifetime * (1.0 - JITTER * rng.random())
        slot.idle_for = self.limits.max_idle_time * (1.0 - JITTER * rng.random())
        slot.state, slot.since = _RETURNING, now
        book.returning.add(slot)

    def is_good(self, slot: Slot, now: float) -> bool:
        """Whether it may serve once more: of the present generation, not too old, its node neither draining nor removed."""
        book = slot.book
        return slot.generation == book.generation and now < slot.retire_at and not book.closed

    def take(self, book: Book, now: float) -> Slot | None:
        """Lease the connection that was returned last. The caller sees whether it is good."""
        if not book.idle:
            return None
        slot = book.idle.pop()
        slot.state, slot.since = _LEASED, now
        book.leased.add(slot)
        return slot

    def lease(self, slot: Slot, now: float) -> None:
        """One that is in our hands goes to somebody."""
        book = slot.book
        book.returning.discard(slot)
        slot.state, slot.since = _LEASED, now
        book.leased.add(slot)

    def give_back(self, slot: Slot, now: float, *, used: bool = True) -> None:
        """A lease ends: the connection is in our hands until `settle`, `lease` or `drop`. Not `used`: it reached nobody."""
        self._end_lease(slot, now, used=used)
        slot.state, slot.since = _RETURNING, now
        slot.book.returning.add(slot)

    def put_back(self, slot: Slot, now: float) -> None:
        """A lease ends, and the connection is idle at once: there is nothing to be done to it."""
        self._end_lease(slot, now)
        slot.state, slot.since = _IDLE, now
        slot.book.idle.append(slot)

    def settle(self, slot: Slot, now: float) -> None:
        """One that is in our hands becomes idle."""
        slot.book.returning.discard(slot)
        slot.state, slot.since = _IDLE, now
        slot.book.idle.append(slot)

    def look_at(self, slot: Slot, now: float) -> None:
        """An idle one comes into our hands, to see whether it is alive."""
        slot.book.idle.remove(slot)
        slot.state, slot.since = _RETURNING, now
        slot.book.returning.add(slot)

    def drop(self, slot: Slot, now: float) -> bool:
        """Take a connection out of the books, whatever it does. False: it was out already."""
        if slot.state is _GONE:
            return False
        if slot.state is _LEASED:
            self._end_lease(slot, now)
        elif slot.state is _IDLE:
            slot.book.idle.remove(slot)
        else:
            slot.book.returning.discard(slot)
        slot.state = _GONE
        return True

    def _end_lease(self, slot: Slot, now: float, *, used: bool = True) -> None:
        book = slot.book
        book.leased.discard(slot)
        if not used:
            return
        held = now - slot.since
        times = book.lease_times  # as Tally.observe, whose call would cost as much again
        if not times.low < held <= times.high:
            times.turn(held)
        at = times.at
        times.counts[at] += 1
        times.sums[at] += held
        use = self.use
        if use is None:
            self.use = held
            return
        # Not min() and max(): this is a part of every lease, and comparing takes a third of their time.
        most = USE_CAP * use
        if most < USE_NOISE:
            most = USE_NOISE
        self.use = use + USE_ALPHA * ((min(most, held)) - use)

    # -- the queue -----------------------------------------------------------------------------------------------------

    def enqueue(self, waiter: Waiter[W]) -> None:
        """At the end of those who want the same."""
        self._arrivals += 1
        waiter.number = self._arrivals
        group = self.groups.get(waiter.wants)
        if group is None:
            group = self.groups[waiter.wants] = OrderedDict()
        group[waiter] = None
        self.waiting += 1

    def withdraw(self, waiter: Waiter[W]) -> bool:
        """It was served, gave up or was cancelled. False: it did not wait."""
        group = self.groups.get(waiter.wants)
        if group is None or waiter not in group:
            return False
        del group[waiter]
        self.waiting -= 1
        if not group:
            del self.groups[waiter.wants]
        return True

    def next_waiter(self, serves: Callable[[W], bool]) -> Waiter[W] | None:
        """Of those whom a node serves, the one who came first."""
        first: Waiter[W] | None = None
        for wants, group in self.groups.items():
            head = next(iter(group))
            if (first is None or head.number < first.number) and serves(wants):
                first = head
        return first

    # -- what is missing, and what is too much -------------------------------------------------------------------------

    def short_of(self) -> list[Book]:
        """The books below `min_size` in which a login may start, the emptiest first."""
        short = [book for book in self.books.values() if book.size < self.limits.min_size and self.has_room(book)]
        return sorted(short, key=lambda book: book.size)

    def outdated(self, now: float) -> list[Slot]:
        """Idle connections that are to be closed: no good any more, idle for too long above `min_size`, or above `max_size`."""
        found: list[Slot] = []
        for book in self.books.values():
            spare = book.size - self.limits.min_size
            excess = book.size - self.limits.max_size
            for slot in book.idle:  # those that have been idle for longest come first
                if not self.is_good(slot, now) or excess > 0 or (now >= slot.since + slot.idle_for and spare > 0):
                    found.append(slot)
                    spare -= 1
                    excess -= 1
        over = self.total - len(found) - self.limits.max_total
        if over > 0:
            rest = [slot for book in self.books.values() for slot in book.idle if slot not in found]
            found += sorted(rest, key=lambda slot: slot.since)[: math.ceil(over)]
        return found

    def next_due(self) -> float:
        """When `outdated` may find something that it does not find now."""
        return min(
            (min(slot.retire_at, slot.since + slot.idle_for) for book in self.books.values() for slot in book.idle),
            default=math.inf,
        )

    def spare_elsewhere(self, serving: list[Book]) -> Slot | None:
        """The connection idle for longest on a node that does not serve: closed, it makes room below `max_total`."""
        idle = [book.idle[0] for book in self.books.values() if book.idle and book not in serving]
        return min(idle, key=lambda slot: slot.since, default=None)
