"""The breaker: every transition of the table, the open times, and what can never be."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aioclustersql.failure import FailureKind
from aioclustersql.node import Health
from aioclustersql.policy.health import (
    AVOID,
    OPEN_FIRST,
    OPEN_MAX,
    SOFT_LIMIT,
    TABLE,
    Breaker,
    Signal,
    avoid_for,
    login_signal,
    step,
)

UP, SUSPECT, DOWN, HALF_OPEN = Health
SUCCESS, HARD, SOFT, LIMIT, PROBE = Signal

TRANSITIONS = {
    UP: {SUCCESS: UP, HARD: DOWN, SOFT: SUSPECT, LIMIT: DOWN, PROBE: UP},
    SUSPECT: {SUCCESS: UP, HARD: DOWN, SOFT: SUSPECT, LIMIT: DOWN, PROBE: SUSPECT},
    DOWN: {SUCCESS: UP, HARD: DOWN, SOFT: DOWN, LIMIT: DOWN, PROBE: HALF_OPEN},
    HALF_OPEN: {SUCCESS: UP, HARD: DOWN, SOFT: DOWN, LIMIT: DOWN, PROBE: HALF_OPEN},
}


class Fixed:
    """A random source that always says the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


ROUNDING = 1e-9
LONGEST, SHORTEST = Fixed(1.0), Fixed(0.0)


def a(health: Health) -> Breaker:
    """A breaker in that state, as one gets there."""
    return Breaker(health, openings=1, retry_at=1.0) if health in (DOWN, HALF_OPEN) else Breaker(health)


@pytest.mark.parametrize(("health", "signal"), list(product(Health, Signal)))
def test_every_pair_of_state_and_signal_has_its_outcome(health: Health, signal: Signal):
    assert step(a(health), signal, 10.0, LONGEST).health is TRANSITIONS[health][signal]


@pytest.mark.parametrize("pair", [pair for pair in product(Health, Signal) if pair not in TABLE])
def test_a_pair_that_is_not_in_the_table_changes_nothing(pair: tuple[Health, Signal]):
    breaker = a(pair[0])
    assert step(breaker, pair[1], 10.0, LONGEST, "a cause") is breaker


def test_only_three_soft_failures_in_a_row_open_it():
    breaker = Breaker()
    for n in range(1, SOFT_LIMIT):
        breaker = step(breaker, SOFT, 0.0, LONGEST)
        assert (breaker.health, breaker.soft_failures) == (SUSPECT, n)
    assert step(breaker, SOFT, 0.0, LONGEST).health is DOWN


def test_a_success_between_starts_the_count_of_soft_failures_anew():
    breaker = Breaker()
    for _ in range(10):
        breaker = step(step(step(breaker, SOFT, 0.0, LONGEST), SOFT, 0.0, LONGEST), SUCCESS, 0.0, LONGEST)
    assert breaker == Breaker()


def test_each_opening_lasts_twice_as_long_up_to_five_seconds():
    breaker, times = Breaker(), []
    for _ in range(7):
        breaker = step(breaker, HARD, 100.0, LONGEST)
        times.append(breaker.retry_at - 100.0)
        breaker = step(breaker, PROBE, breaker.retry_at, LONGEST)
    assert times == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_the_open_time_is_jittered_to_three_quarters_at_least():
    assert step(Breaker(), HARD, 0.0, SHORTEST).retry_at == 0.75 * OPEN_FIRST
    assert step(Breaker(openings=1_000_000), HARD, 0.0, SHORTEST).retry_at == 0.75 * OPEN_MAX


def test_the_open_time_is_spread_evenly_over_its_jitter():
    rng = random.Random(1)
    times = [step(Breaker(), HARD, 0.0, rng).retry_at for _ in range(2_000)]
    assert (min(times) >= 0.375, max(times) <= 0.5) == (True, True)
    assert sum(times) / len(times) == pytest.approx(0.4375, abs=0.005)


def test_a_success_forgets_all_openings():
    breaker = step(replace(a(DOWN), openings=5), SUCCESS, 0.0, LONGEST)
    assert breaker == Breaker()


def test_a_failure_while_it_is_open_leaves_the_open_time_as_it_is():
    opened = step(Breaker(), HARD, 0.0, LONGEST, "refused")
    again = step(opened, HARD, 0.25, LONGEST, "still refused")
    assert again == replace(opened, cause="still refused")


def test_a_failure_after_the_open_time_opens_it_anew_and_longer():
    opened = step(Breaker(), HARD, 0.0, LONGEST)
    again = step(opened, HARD, 0.5, LONGEST)
    assert (again.health, again.openings, again.retry_at) == (DOWN, 2, 1.5)


def test_a_probe_is_wanted_when_the_open_time_is_over_and_only_once():
    opened = step(Breaker(), HARD, 0.0, LONGEST)
    assert [opened.wants_probe(now) for now in (0.0, 0.49, 0.5, 60.0)] == [False, False, True, True]
    assert not step(opened, PROBE, 0.5, LONGEST).wants_probe(60.0)
    assert not Breaker().wants_probe(60.0)


def test_user_traffic_goes_only_where_it_is_up_or_suspect():
    assert [a(health).closed for health in (UP, SUSPECT, DOWN, HALF_OPEN)] == [True, True, False, False]


def test_the_cause_is_that_of_the_last_failure_that_has_one():
    opened = step(Breaker(), HARD, 0.0, LONGEST, "refused")
    assert opened.cause == "refused"
    assert step(opened, PROBE, 0.5, LONGEST).cause == "refused"
    assert step(opened, HARD, 0.5, LONGEST).cause == "refused"


MEANINGS = {
    FailureKind.UNREACHABLE: HARD,
    FailureKind.NOT_READY: HARD,
    FailureKind.HOST_BLOCKED: HARD,
    FailureKind.TIMEOUT: SOFT,
    FailureKind.SESSION_LOST: SOFT,
    FailureKind.OVERLOADED: SUCCESS,
    FailureKind.CONFIGURATION: SUCCESS,
}


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_of_failed_login_has_its_meaning_for_the_node(kind: FailureKind):
    assert login_signal(kind) is MEANINGS.get(kind)


@pytest.mark.parametrize("kind", [FailureKind.OVERLOADED, FailureKind.CONFIGURATION])
def test_a_full_server_and_a_refused_password_never_open_a_breaker(kind: FailureKind):
    breaker, signal = Breaker(), login_signal(kind)
    assert signal is not None
    for _ in range(100):
        breaker = step(breaker, signal, 0.0, LONGEST)
        assert breaker.closed


@pytest.mark.parametrize("kind", FailureKind)
def test_only_failures_that_are_not_the_breakers_business_are_avoided_for_a_while(kind: FailureKind):
    assert (avoid_for(kind) > 0) == (kind in AVOID)
    assert avoid_for(kind) <= 5.0


class Life(RuleBasedStateMachine):
    """Any signals at any times, as a runtime may send them: a probe is sent only when one is wanted."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker()
        self.soft_in_a_row = 0

    def send(self, signal: Signal, jitter: float) -> None:
        before = self.breaker
        self.breaker = step(before, signal, self.now, Fixed(jitter), signal.name)
        if self.breaker.health is HALF_OPEN and before.health is not HALF_OPEN:
            assert signal is PROBE
            assert before.wants_probe(self.now)
        if self.breaker.health is DOWN and before.health is not DOWN:
            assert 0.75 * OPEN_FIRST <= self.breaker.retry_at - self.now + ROUNDING <= OPEN_MAX + 2 * ROUNDING

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(jitter=st.floats(0, 1, exclude_max=True))
    def succeeds(self, jitter: float) -> None:
        self.send(SUCCESS, jitter)
        self.soft_in_a_row = 0
        assert self.breaker == Breaker()

    @rule(jitter=st.floats(0, 1, exclude_max=True))
    def fails_hard(self, jitter: float) -> None:
        self.send(HARD, jitter)
        assert self.breaker.health is DOWN

    @rule(jitter=st.floats(0, 1, exclude_max=True))
    def fails_softly(self, jitter: float) -> None:
        was_closed = self.breaker.closed
        self.soft_in_a_row = self.soft_in_a_row + 1 if was_closed else 0
        self.send(SOFT, jitter)
        assert self.breaker.closed == (was_closed and self.soft_in_a_row < SOFT_LIMIT)
        if not self.breaker.closed:
            self.soft_in_a_row = 0

    @precondition(lambda self: self.breaker.wants_probe(self.now))
    @rule()
    def is_probed(self) -> None:
        self.send(PROBE, 0.0)
        assert self.breaker.health is HALF_OPEN

    @invariant()
    def an_open_breaker_says_until_when_and_why(self) -> None:
        if self.breaker.health is DOWN:
            assert self.breaker.retry_at > 0
            assert self.breaker.retry_at <= self.now + OPEN_MAX + ROUNDING
            assert self.breaker.cause is not None

    @invariant()
    def a_closed_breaker_has_never_opened_since(self) -> None:
        if self.breaker.closed:
            assert (self.breaker.openings, self.breaker.retry_at) == (0, 0.0)
            assert self.breaker.soft_failures < SOFT_LIMIT
            assert (self.breaker.health is SUSPECT) == (self.breaker.soft_failures > 0)


TestWhateverHappens = Life.TestCase
TestWhateverHappens.settings = settings(max_examples=100, stateful_step_count=30, deadline=None, derandomize=True)


def test_where_a_monitor_looks_soft_failures_alone_never_open_it():
    breaker = Breaker()
    for _ in range(10):
        breaker = step(breaker, SOFT, 0.0, LONGEST, watched=True)
    assert (breaker.health, breaker.soft_failures) == (SUSPECT, 10)
    assert step(breaker, HARD, 0.0, LONGEST, watched=True).health is DOWN
