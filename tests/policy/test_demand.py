"""When another login is worth its cost to those who wait."""

from __future__ import annotations

import math
import random

import pytest

from aioclustersql.policy.demand import drain_time, logins_due, reconsider_at
from aioclustersql.policy.ledger import Book, Ledger, Limits, Slot, Waiter


@pytest.fixture
def ledger() -> Ledger[str]:
    return Ledger(Limits(max_size=50))


def leased(ledger: Ledger[str], book: Book, count: int = 1, now: float = 0.0) -> list[Slot]:
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


def test_nobody_waits_no_time(ledger: Ledger[str]):
    assert drain_time(ledger, "x", [ledger.open_book("a")], 0.0) == 0.0


def test_without_anything_in_use_the_queue_never_empties(ledger: Ledger[str]):
    wait(ledger, "x")
    assert drain_time(ledger, "x", [ledger.open_book("a")], 0.0) == math.inf


def test_the_queue_empties_as_fast_as_leases_end(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, 5)
    ledger.use = 0.002
    wait(ledger, *"x" * 45)
    assert drain_time(ledger, "x", [book], 0.0) == pytest.approx(0.018)


def test_leases_that_last_longer_than_the_average_are_believed(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, 5)
    ledger.use = 0.002
    wait(ledger, *"x" * 5)
    assert drain_time(ledger, "x", [book], 1.0) == pytest.approx(1.0)


def test_a_lease_held_for_long_is_not_counted_on(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, now=0.0)
    leased(ledger, book, 5, now=3600.0)
    ledger.use = 0.002
    wait(ledger, *"x" * 5)
    assert drain_time(ledger, "x", [book], 3600.0) == pytest.approx(0.002)


def test_no_login_is_due_while_the_queue_empties_sooner(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, 5)
    ledger.use = 0.002
    wait(ledger, *"x" * 45)
    assert logins_due(ledger, "x", [book], 0, 0.15, 0.0) == 0
    assert logins_due(ledger, "x", [book], 0, 0.015, 0.0) == 45


def test_logins_under_way_are_counted_on(ledger: Ledger[str]):
    wait(ledger, "x", "x", "x")
    assert logins_due(ledger, "x", [ledger.open_book("a")], 2, 0.15, 0.0) == 1
    assert logins_due(ledger, "x", [ledger.open_book("a")], 5, 0.15, 0.0) == 0


def test_nobody_wants_no_login(ledger: Ledger[str]):
    assert logins_due(ledger, "x", [ledger.open_book("a")], 0, 0.15, 0.0) == 0


def test_when_a_login_becomes_due_is_foreseen(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, 5)
    ledger.use = 0.002
    wait(ledger, *"x" * 10)
    when = reconsider_at(ledger, "x", [book], 0.15, 0.0)
    assert when == pytest.approx(0.075, abs=1e-5)
    assert logins_due(ledger, "x", [book], 0, 0.15, when - 0.001) == 0
    assert logins_due(ledger, "x", [book], 0, 0.15, when + 0.001) == 10


def test_a_reset_that_does_not_end_makes_a_login_due_too(ledger: Ledger[str]):
    book = ledger.open_book("a")
    [slot] = leased(ledger, book)
    ledger.give_back(slot, 0.001)
    wait(ledger, "x")
    assert logins_due(ledger, "x", [book], 0, 0.15, 0.001) == 0
    when = reconsider_at(ledger, "x", [book], 0.15, 0.001)
    assert when == pytest.approx(0.151, abs=1e-5)
    assert logins_due(ledger, "x", [book], 0, 0.15, when + 0.001) == 1


def test_resets_that_are_overdue_are_not_counted_on(ledger: Ledger[str]):
    book = ledger.open_book("a")
    for slot in leased(ledger, book, 10):
        ledger.give_back(slot, 0.0)
    wait(ledger, "x")
    assert logins_due(ledger, "x", [book], 0, 0.15, 0.3) == 1
