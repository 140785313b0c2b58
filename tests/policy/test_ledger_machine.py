"""The pool's books under any order of events: a connection is in one place, nobody is overtaken, no limit is passed."""

from __future__ import annotations

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from aioclustersql.policy.demand import drain_time, logins_due, reconsider_at
from aioclustersql.policy.leasing import Offer, Serving, arrange, pick, uneven, worth
from aioclustersql.policy.ledger import LOGINS, Book, Ledger, Limits, Slot, State, Waiter

NAMES = ("a", "b", "c")
WANTS = {"any": NAMES, "write": ("a",), "read": ("b", "c")}
FAR = "c"


class Books(RuleBasedStateMachine):
    """Does what the pool does with the ledger, in any order; a model beside it knows who came when, and what is where."""

    slots = Bundle("slots")

    @initialize(max_size=st.integers(1, 3), max_total=st.sampled_from([2, 4, float("inf")]), seed=st.integers(0, 9))
    def begin(self, max_size: int, max_total: float, seed: int) -> None:
        self.limits = Limits(0, max_size, max_total, max_lifetime=50.0, max_idle_time=20.0)
        self.ledger: Ledger[str] = Ledger(self.limits)
        self.rng = random.Random(seed)
        self.now = 0.0
        self.came: list[Waiter[str]] = []
        self.known: dict[Slot, Book] = {}
        self.connecting: dict[Book, int] = {}
        for name in NAMES:
            self.ledger.open_book(name)

    def serving(self, wants: str) -> Serving:
        books = self.ledger.books
        return arrange(
            Offer(books[name], round_trip=0.02 if name == FAR else 0.001)
            for name in WANTS[wants]
            if name in books and not books[name].closed
        )

    def is_worth_it(self, wants: str, book: Book) -> bool:
        serving = self.serving(wants)
        queue = drain_time(self.ledger, wants, [offer.book for offer in serving.near], self.now)
        return worth(serving, book, self.ledger.waiting, queue)

    def available(self, slot: Slot) -> None:
        """As the pool has it: to whoever has waited for longest, else idle; closed when it is no good."""
        if not self.ledger.is_good(slot, self.now) or self.ledger.is_too_full(slot.book):
            self.drop(slot)
            return
        waiter = self.ledger.next_waiter(lambda wants: self.is_worth_it(wants, slot.book))
        if waiter is None:
            self.ledger.settle(slot, self.now)
            return
        same = [other for other in self.came if other.wants == waiter.wants]
        assert waiter is same[0], "somebody was overtaken"
        assert not [other for other in self.came if other.number < waiter.number and self.is_worth_it(other.wants, slot.book)], (
            "somebody who wants something else was overtaken"
        )
        self.leave(waiter)
        self.ledger.lease(slot, self.now)

    def leave(self, waiter: Waiter[str]) -> None:
        assert self.ledger.withdraw(waiter)
        self.came.remove(waiter)

    def drop(self, slot: Slot) -> None:
        assert self.ledger.drop(slot, self.now)
        del self.known[slot]

    @rule(name=st.sampled_from(NAMES))
    def start_login(self, name: str) -> None:
        book = self.ledger.books.get(name)
        if book is not None and self.ledger.has_room(book):
            book.connecting += 1
            self.connecting[book] = self.connecting.get(book, 0) + 1

    @rule(target=slots, works=st.booleans())
    def end_login(self, works: bool):
        if not self.connecting:
            return multiple()
        book = next(iter(self.connecting))
        self.connecting[book] -= 1
        if not self.connecting[book]:
            del self.connecting[book]
        book.connecting -= 1
        if not works or book.closed:
            return multiple()
        slot = Slot()
        self.ledger.add(slot, book, self.now, self.rng)
        self.known[slot] = book
        self.available(slot)
        return slot

    @rule(wants=st.sampled_from(sorted(WANTS)))
    def ask(self, wants: str) -> None:
        if wants not in self.ledger.groups:
            while (book := pick(self.serving(wants), self.rng, self.ledger.waiting)) is not None:
                slot = book.idle[-1]
                if self.ledger.is_good(slot, self.now):
                    assert self.ledger.take(book, self.now) is slot
                    return
                self.drop(slot)
        waiter = Waiter(wants, self.now)
        self.ledger.enqueue(waiter)
        self.came.append(waiter)

    @precondition(lambda self: self.came)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self.leave(data.draw(st.sampled_from(self.came)))

    @rule(slot=slots)
    def give_back(self, slot: Slot) -> None:
        if slot.state is State.LEASED:
            self.ledger.give_back(slot, self.now)

    @rule(slot=slots)
    def end_reset(self, slot: Slot) -> None:
        if slot.state is State.RETURNING:
            self.available(slot)

    @rule(slot=slots)
    def look_at(self, slot: Slot) -> None:
        if slot.state is State.IDLE:
            self.ledger.look_at(slot, self.now)

    @rule(slot=slots)
    def lose(self, slot: Slot) -> None:
        if slot.state is State.GONE:
            assert not self.ledger.drop(slot, self.now)
        else:
            self.drop(slot)

    @rule(seconds=st.sampled_from([0.001, 0.25, 5.0, 30.0]))
    def advance(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def tidy_up(self) -> None:
        for slot in self.ledger.outdated(self.now):
            assert slot.state is State.IDLE
            self.drop(slot)
        assert self.ledger.outdated(self.now) == []

    @rule()
    def spread(self) -> None:
        for wants in WANTS:
            move = uneven(self.serving(wants))
            if move is not None:
                poor, spare = move
                assert spare.state is State.IDLE
                assert spare.book.size - poor.size >= 2

    @rule(name=st.sampled_from(NAMES))
    def remove_or_add(self, name: str) -> None:
        if name not in self.ledger.books:
            self.ledger.open_book(name)
            return
        book = self.ledger.close_book(name)
        for slot in list(book.idle):
            self.drop(slot)

    @rule(name=st.sampled_from(NAMES))
    def expire(self, name: str) -> None:
        book = self.ledger.books.get(name)
        if book is not None:
            book.generation += 1
            for slot in list(book.idle):
                assert not self.ledger.is_good(slot, self.now)
                self.drop(slot)

    @invariant()
    def each_connection_is_in_one_place(self) -> None:
        for slot, book in self.known.items():
            places = [slot in book.idle, slot in book.leased, slot in book.returning]
            states = [State.IDLE, State.LEASED, State.RETURNING]
            assert [slot.state is state for state in states] == places
            assert places.count(True) == 1
        assert sum(len(list(book)) for book in {*self.ledger.books.values(), *self.known.values()}) == len(self.known)

    @invariant()
    def no_limit_is_passed(self) -> None:
        assert self.ledger.total <= self.limits.max_total
        for book in self.ledger.books.values():
            assert book.size <= self.limits.max_size
            assert 0 <= book.connecting <= LOGINS

    @invariant()
    def the_queue_is_who_came_and_has_not_left(self) -> None:
        queue = sorted((waiter for group in self.ledger.groups.values() for waiter in group), key=lambda waiter: waiter.number)
        assert queue == self.came
        assert self.ledger.waiting == len(self.came)
        assert all(self.ledger.groups.values())

    @invariant()
    def demand_makes_sense(self) -> None:
        for wants in WANTS:
            books = self.serving(wants).books
            waiting = len(self.ledger.groups.get(wants, ()))
            assert 0 <= logins_due(self.ledger, wants, books, 0, 0.01, self.now) <= waiting
            assert reconsider_at(self.ledger, wants, books, 0.01, self.now) >= self.now


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None, derandomize=True, database=None)
TestBooks = Books.TestCase
