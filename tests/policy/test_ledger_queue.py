"""The pool's queue: first come, first served among those who want the same."""

from __future__ import annotations

import pytest

from aioclustersql.policy.ledger import Ledger, Limits, Waiter


@pytest.fixture
def ledger() -> Ledger[str]:
    return Ledger(Limits(max_size=50))


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
