"""The pool's books: where a connection is, who waits, what may be opened and what is to be closed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from aioclustersql.policy.ledger import JITTER, LOGINS, Book, Ledger, Limits, Slot, State, Waiter

LIMITS = Limits(min_size=0, max_size=4, max_lifetime=100.0, max_idle_time=10.0)


@pytest.fixture
def ledger() -> Ledger[str]:
    return Ledger(LIMITS)


def idle(ledger: Ledger[str], book: Book, count: int = 1, now: float = 0.0) -> list[Slot]:
    """New connections that wait for a user."""
    slots = [Slot() for _ in range(count)]
    for slot in slots:
        ledger.add(slot, book, now, random.Random(1))
        ledger.settle(slot, now)
    return slots


def leased(ledger: Ledger[str], book: Book, count: int = 1, now: float = 0.0) -> list[Slot]:
    """New connections that somebody has."""
    slots = [Slot() for _ in range(count)]
    for slot in slots:
        ledger.add(slot, book, now, random.Random(1))
        ledger.lease(slot, now)
    return slots


def wait(ledger: Ledger[str], *wants: str) -> list[Waiter[str]]:
    waiters = [Waiter(each, 0.0) for each in wants]
    for waiter in waiters:
        ledger.enqueue(waiter)
    return waiters


# -- where a connection is -------------------------------------------------------------------------------------------------


def test_a_new_connection_is_in_our_hands(ledger: Ledger[str]):
    book, slot = ledger.open_book("a"), Slot()
    ledger.add(slot, book, 1.0, random.Random(1))
    assert (slot.state, slot.since, book.returning, book.size, book.busy) == (State.RETURNING, 1.0, {slot}, 1, 1)


def test_the_connection_returned_last_is_taken_first(ledger: Ledger[str]):
    book = ledger.open_book("a")
    first, second = idle(ledger, book, 2)
    assert ledger.take(book, 1.0) is second
    assert ledger.take(book, 1.0) is first
    assert ledger.take(book, 1.0) is None
    assert book.leased == {first, second}


def test_a_lease_that_ends_is_in_our_hands_until_it_is_settled(ledger: Ledger[str]):
    book = ledger.open_book("a")
    [slot] = leased(ledger, book)
    ledger.give_back(slot, 2.0)
    assert (slot.state, book.leased, book.returning) == (State.RETURNING, set(), {slot})
    ledger.settle(slot, 3.0)
    assert (slot.state, slot.since, book.idle, book.returning) == (State.IDLE, 3.0, [slot], set())


def test_an_idle_connection_may_be_looked_at(ledger: Ledger[str]):
    book = ledger.open_book("a")
    [slot] = idle(ledger, book)
    ledger.look_at(slot, 2.0)
    assert (slot.state, slot.since, book.idle, book.returning) == (State.RETURNING, 2.0, [], {slot})


@pytest.mark.parametrize("state", [State.IDLE, State.LEASED, State.RETURNING])
def test_a_connection_is_dropped_from_wherever_it_is_and_once(ledger: Ledger[str], state: State):
    book = ledger.open_book("a")
    [slot] = leased(ledger, book)
    if state is not State.LEASED:
        ledger.give_back(slot, 1.0)
    if state is State.IDLE:
        ledger.settle(slot, 1.0)
    assert slot.state is state
    assert ledger.drop(slot, 2.0)
    assert (slot.state, book.size) == (State.GONE, 0)
    assert not ledger.drop(slot, 2.0)


def test_lifetimes_are_jittered_downwards(ledger: Ledger[str]):
    book, rng, found = ledger.open_book("a"), random.Random(1), set()
    for _ in range(50):
        slot = Slot()
        ledger.add(slot, book, 1000.0, rng)
        assert 1000.0 + 100.0 * (1 - JITTER) <= slot.retire_at <= 1100.0
        assert 10.0 * (1 - JITTER) <= slot.idle_for <= 10.0
        found.add(slot.retire_at)
    assert len(found) == 50


@pytest.mark.parametrize("why", ["too old", "another generation", "its node is closed"])
def test_a_connection_is_no_good_when(ledger: Ledger[str], why: str):
    book = ledger.open_book("a")
    [slot] = idle(ledger, book)
    assert ledger.is_good(slot, 1.0)
    book.generation += why == "another generation"
    book.closed = why == "its node is closed"
    assert not ledger.is_good(slot, slot.retire_at if why == "too old" else 1.0)


def test_closing_a_book_makes_what_it_holds_no_good(ledger: Ledger[str]):
    book = ledger.open_book("a")
    [slot] = leased(ledger, book)
    assert ledger.close_book("a") is book
    assert ledger.books == {}
    assert not ledger.is_good(slot, 1.0)


def test_the_average_use_follows_what_comes_back(ledger: Ledger[str]):
    book = ledger.open_book("a")
    found = [ledger.use]
    for number, slot in enumerate(leased(ledger, book, 2), 1):
        ledger.give_back(slot, float(number))
        found.append(ledger.use)
    assert found == [None, 1.0, pytest.approx(1.1)]


def test_one_lease_of_an_hour_is_not_the_rule(ledger: Ledger[str]):
    book = ledger.open_book("a")
    ledger.use = 0.002
    [slot] = leased(ledger, book)
    ledger.give_back(slot, 3600.0)
    assert ledger.use == pytest.approx(0.0026)


def test_a_lease_that_reached_nobody_tells_nothing_of_the_use(ledger: Ledger[str]):
    book = ledger.open_book("a")
    [slot] = leased(ledger, book)
    ledger.give_back(slot, 100.0, used=False)
    assert ledger.use is None


# -- room ------------------------------------------------------------------------------------------------------------------


def test_two_logins_at_most_are_under_way_on_one_node(ledger: Ledger[str]):
    book = ledger.open_book("a")
    book.connecting = LOGINS - 1
    assert ledger.has_room(book)
    book.connecting = LOGINS
    assert not ledger.has_room(book)


def test_max_size_bounds_one_node(ledger: Ledger[str]):
    book, other = ledger.open_book("a"), ledger.open_book("b")
    idle(ledger, book, 3)
    assert ledger.has_room(book)
    idle(ledger, book)
    assert not ledger.has_room(book)
    assert ledger.has_room(other)


def test_max_total_bounds_all(ledger: Ledger[str]):
    ledger.limits = replace(LIMITS, max_total=3)
    book, other = ledger.open_book("a"), ledger.open_book("b")
    idle(ledger, book, 2)
    assert ledger.has_room(other)
    other.connecting = 1
    assert ledger.total == 3
    assert not ledger.has_room(book)
    assert not ledger.has_room(other)


def test_a_closed_book_has_no_room(ledger: Ledger[str]):
    book = ledger.open_book("a")
    book.closed = True
    assert not ledger.has_room(book)


def test_what_is_below_its_least_size_is_filled_emptiest_first(ledger: Ledger[str]):
    ledger.limits = replace(LIMITS, min_size=2)
    a, b, c = (ledger.open_book(name) for name in "abc")
    idle(ledger, a)
    idle(ledger, c, 2)
    assert ledger.short_of() == [b, a]


def test_the_longest_idle_elsewhere_makes_room(ledger: Ledger[str]):
    a, b, c = (ledger.open_book(name) for name in "abc")
    idle(ledger, a, now=0.0)
    idle(ledger, b, now=2.0)
    [oldest] = idle(ledger, c, now=1.0)
    assert ledger.spare_elsewhere([a]) is oldest
    assert ledger.spare_elsewhere([a, b, c]) is None


# -- what is to be closed --------------------------------------------------------------------------------------------------


def test_what_was_idle_for_too_long_is_outdated(ledger: Ledger[str]):
    book = ledger.open_book("a")
    [old] = idle(ledger, book)
    idle(ledger, book, now=5.0)
    assert ledger.outdated(old.idle_for - 0.001) == []
    assert ledger.outdated(old.idle_for) == [old]


def test_idle_times_leave_the_least_size(ledger: Ledger[str]):
    ledger.limits = replace(LIMITS, min_size=2)
    slots = idle(ledger, ledger.open_book("a"), 3)
    assert ledger.outdated(50.0) == slots[:1]


def test_lifetimes_end_below_the_least_size_too(ledger: Ledger[str]):
    ledger.limits = replace(LIMITS, min_size=2)
    slots = idle(ledger, ledger.open_book("a"), 2)
    assert ledger.outdated(100.0) == slots


def test_what_is_leased_is_never_outdated(ledger: Ledger[str]):
    leased(ledger, ledger.open_book("a"), 3)
    assert ledger.outdated(1000.0) == []


def test_what_is_above_the_greatest_size_is_outdated(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, 2)
    slots = idle(ledger, book, 2)
    ledger.limits = replace(LIMITS, max_size=3)
    assert ledger.outdated(1.0) == slots[:1]


def test_what_is_above_the_total_is_outdated_longest_idle_first(ledger: Ledger[str]):
    a, b = ledger.open_book("a"), ledger.open_book("b")
    idle(ledger, a, now=1.0)
    [oldest] = idle(ledger, b, now=0.0)
    idle(ledger, b, now=2.0)
    ledger.limits = replace(LIMITS, max_total=2)
    assert ledger.outdated(3.0) == [oldest]


def test_what_is_put_back_is_idle_at_once_and_counts_as_used(ledger: Ledger[str]):
    book = ledger.open_book("a")
    (slot,) = leased(ledger, book, now=1.0)
    ledger.put_back(slot, 1.5)
    assert (slot.state, slot.since, book.idle, book.busy) == (State.IDLE, 1.5, [slot], 0)
    assert ledger.use == 0.5


@pytest.mark.parametrize("smaller", [{"max_size": 1}, {"max_total": 2}])
def test_books_are_too_full_after_a_resize_until_enough_are_closed(ledger: Ledger[str], smaller: dict[str, int]):
    one, other = ledger.open_book("a"), ledger.open_book("b")
    idle(ledger, one)
    spare = idle(ledger, other, 2)[0]
    assert not ledger.is_too_full(other)
    ledger.resize(replace(LIMITS, **smaller))
    assert ledger.is_too_full(other)
    ledger.drop(spare, 1.0)
    assert not ledger.is_too_full(other)
