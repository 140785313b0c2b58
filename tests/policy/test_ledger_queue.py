"""The pool's queue: first come, first served among those who want the same; and when another login is worth its cost."""

from __future__ import annotations

import math
import random

import pytest

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


def anything(_: str) -> bool:
    return True


def test_first_come_first_served(ledger: Ledger[str]):
    first, second, third = wait(ledger, "x", "x", "x")
    served = []
    while (waiter := ledger.next_waiter(anything)) is not None:
        served.append(waiter)
        ledger.withdraw(waiter)
    assert served == [first, second, third]
    assert (ledger.waiting, ledger.groups) == (0, {})


def test_of_several_wants_whoever_came_first_is_served_first(ledger: Ledger[str]):
    first, second = wait(ledger, "x", "y")
    wait(ledger, "x")
    assert ledger.next_waiter(anything) is first
    ledger.withdraw(first)
    assert ledger.next_waiter(anything) is second


def test_who_is_not_served_there_does_not_stop_those_who_are(ledger: Ledger[str]):
    _, second = wait(ledger, "x", "y")
    assert ledger.next_waiter(lambda wants: wants == "y") is second
    assert ledger.next_waiter(lambda wants: wants == "z") is None


def test_somebody_in_the_middle_may_leave(ledger: Ledger[str]):
    first, second, third = wait(ledger, "x", "x", "x")
    assert ledger.withdraw(second)
    assert list(ledger.groups["x"]) == [first, third]
    assert ledger.waiting == 2


def test_who_does_not_wait_cannot_leave(ledger: Ledger[str]):
    [waiter] = wait(ledger, "x")
    assert ledger.withdraw(waiter)
    assert not ledger.withdraw(waiter)
    assert not ledger.withdraw(Waiter("x", 0.0))
    assert ledger.waiting == 0


# -- demand ----------------------------------------------------------------------------------------------------------------


def test_nobody_waits_no_time(ledger: Ledger[str]):
    assert ledger.drain_time("x", [ledger.open_book("a")], 0.0) == 0.0


def test_without_anything_in_use_the_queue_never_empties(ledger: Ledger[str]):
    wait(ledger, "x")
    assert ledger.drain_time("x", [ledger.open_book("a")], 0.0) == math.inf


def test_the_queue_empties_as_fast_as_leases_end(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, 5)
    ledger.use = 0.002
    wait(ledger, *"x" * 45)
    assert ledger.drain_time("x", [book], 0.0) == pytest.approx(0.018)


def test_leases_that_last_longer_than_the_average_are_believed(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, 5)
    ledger.use = 0.002
    wait(ledger, *"x" * 5)
    assert ledger.drain_time("x", [book], 1.0) == pytest.approx(1.0)


def test_no_login_is_due_while_the_queue_empties_sooner(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, 5)
    ledger.use = 0.002
    wait(ledger, *"x" * 45)
    assert ledger.logins_due("x", [book], 0, 0.15, 0.0) == 0
    assert ledger.logins_due("x", [book], 0, 0.015, 0.0) == 45


def test_logins_under_way_are_counted_on(ledger: Ledger[str]):
    wait(ledger, "x", "x", "x")
    assert ledger.logins_due("x", [ledger.open_book("a")], 2, 0.15, 0.0) == 1
    assert ledger.logins_due("x", [ledger.open_book("a")], 5, 0.15, 0.0) == 0


def test_nobody_wants_no_login(ledger: Ledger[str]):
    assert ledger.logins_due("x", [ledger.open_book("a")], 0, 0.15, 0.0) == 0


def test_when_a_login_becomes_due_is_foreseen(ledger: Ledger[str]):
    book = ledger.open_book("a")
    leased(ledger, book, 5)
    ledger.use = 0.002
    wait(ledger, *"x" * 10)
    when = ledger.reconsider_at("x", [book], 0.15, 0.0)
    assert when == pytest.approx(0.075, abs=1e-5)
    assert ledger.logins_due("x", [book], 0, 0.15, when - 0.001) == 0
    assert ledger.logins_due("x", [book], 0, 0.15, when + 0.001) == 10


def test_a_reset_that_does_not_end_makes_a_login_due_too(ledger: Ledger[str]):
    book = ledger.open_book("a")
    [slot] = leased(ledger, book)
    ledger.give_back(slot, 0.001)
    wait(ledger, "x")
    assert ledger.logins_due("x", [book], 0, 0.15, 0.001) == 0
    when = ledger.reconsider_at("x", [book], 0.15, 0.001)
    assert when == pytest.approx(0.151, abs=1e-5)
    assert ledger.logins_due("x", [book], 0, 0.15, when + 0.001) == 1


def test_resets_that_are_overdue_are_not_counted_on(ledger: Ledger[str]):
    book = ledger.open_book("a")
    for slot in leased(ledger, book, 10):
        ledger.give_back(slot, 0.0)
    wait(ledger, "x")
    assert ledger.logins_due("x", [book], 0, 0.15, 0.3) == 1
