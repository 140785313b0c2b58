"""Which login starts when: the race of one connect as a machine, without a loop. The clock is the test's own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from aioclustersql.policy.latency import MIN_SAMPLES, LoginLatency
from aioclustersql.policy.racing import (
    DELAY_MAX,
    FAILOVER,
    HEDGE_MAX,
    HEDGE_MIN,
    Delays,
    HedgeBudget,
    Race,
    Reason,
    Start,
    delays,
)

HEDGE = 0.020
FIRST, ALL, FAILURE, HEDGED, FAILED_OVER = Reason.FIRST, Reason.ALL, Reason.FAILURE, Reason.HEDGE, Reason.FAILOVER


class Runner:
    """A race, and since when each node has been silent."""

    def __init__(
        self, first: Sequence[str], rest: Sequence[str] = (), reserve: Sequence[str] = (), *, tokens: float = 5.0
    ) -> None:
        self.asked = 0
        self.heard: dict[str, float] = {}
        self.budget = HedgeBudget()
        self.budget.tokens = tokens
        self._rest = rest, reserve
        self.race = Race(first, self.ask, lambda _: Delays(HEDGE, FAILOVER))

    def ask(self) -> tuple[Sequence[str], Sequence[str]]:
        self.asked += 1
        return self._rest

    def quiet_since(self, name: str) -> float:
        return self.heard.get(name, 0.0)

    def wake_at(self) -> float | None:
        return self.race.wake_at(self.quiet_since)

    def tick(self, now: float) -> list[Start]:
        started = self.race.tick(now, self.quiet_since, self.budget)
        self.heard |= {name: now for name, _ in started}
        return started


def warm(*rest: str, reserve: Sequence[str] = (), tokens: float = 5.0) -> Runner:
    """A race that has begun on the node a."""
    runner = Runner(["a"], rest, reserve, tokens=tokens)
    assert runner.race.begin() == [("a", FIRST)]
    return runner


def test_a_cold_race_starts_all():
    assert Runner(["a", "b", "c"]).race.begin() == [("a", ALL), ("b", ALL), ("c", ALL)]


def test_a_warm_race_starts_one():
    runner = warm("b", "c")
    assert runner.asked == 0


def test_the_others_are_ordered_once_and_only_when_they_are_needed():
    runner = warm("b", "c")
    runner.race.failed("a")
    runner.race.failed("b")
    assert runner.asked == 1


def test_a_failure_starts_the_next_at_once():
    runner = warm("b", "c")
    assert runner.race.failed("a") == [("b", FAILURE)]
    assert runner.race.failed("b") == [("c", FAILURE)]


def test_a_race_is_over_when_nothing_is_under_way_and_nothing_is_left():
    runner = warm("b")
    runner.race.failed("a")
    assert not runner.race.over
    assert runner.race.failed("b") == []
    assert runner.race.over


def test_the_first_is_not_started_twice_though_the_order_names_it():
    runner = warm("b", "a", reserve=["c", "a"])
    assert runner.race.waiting == ("b", "c")


def test_the_hedge_starts_after_the_delay_and_not_before():
    runner = warm("b")
    assert runner.wake_at() == HEDGE
    assert runner.tick(HEDGE / 2) == []
    assert runner.tick(HEDGE) == [("b", HEDGED)]


def test_a_hedge_is_paid_from_the_budget():
    runner = warm("b", tokens=1.5)
    runner.tick(HEDGE)
    assert runner.budget.tokens == 0.5


def test_a_hedge_that_is_not_paid_waits_for_the_failover():
    runner = warm("b", tokens=0.9)
    assert runner.tick(HEDGE) == []
    assert runner.wake_at() == FAILOVER
    assert runner.tick(0.2) == []
    assert runner.tick(FAILOVER) == [("b", FAILED_OVER)]


def test_a_refused_hedge_costs_nothing():
    runner = warm("b", tokens=0.9)
    runner.tick(HEDGE)
    assert runner.budget.tokens == 0.9


def test_the_second_failover_starts_all_that_are_left():
    runner = warm("b", "c", "d", "e", reserve=["f"], tokens=0.0)
    runner.tick(HEDGE)
    assert runner.tick(FAILOVER) == [("b", FAILED_OVER)]
    runner.tick(FAILOVER + HEDGE)
    assert runner.tick(2 * FAILOVER) == [("c", FAILED_OVER), ("d", FAILED_OVER), ("e", FAILED_OVER), ("f", FAILED_OVER)]
    assert runner.wake_at() is None


def test_the_delay_of_the_next_counts_from_its_own_start():
    runner = warm("b", "c")
    runner.tick(HEDGE)
    assert runner.wake_at() == 2 * HEDGE
    assert runner.tick(2 * HEDGE) == [("c", HEDGED)]


def test_nobody_hedges_against_a_node_heard_of_since():
    runner = warm("b")
    runner.heard["a"] = 0.015
    assert runner.tick(HEDGE) == []
    assert runner.wake_at() == pytest.approx(0.035)
    assert runner.budget.tokens == 5.0


def test_nobody_fails_over_from_a_node_heard_of_since():
    runner = warm("b", tokens=0.0)
    for now in range(1, 40):
        runner.heard["a"] = now / 4 - 0.2
        assert runner.tick(now / 4) == []


def test_when_the_hedge_fails_the_first_is_watched_again():
    runner = warm("b", "c", tokens=1.0)
    assert runner.tick(HEDGE) == [("b", HEDGED)]
    assert runner.race.failed("b") == [("c", FAILURE)]
    assert runner.race.failed("c") == []
    assert runner.wake_at() is None


def test_the_reserve_is_not_hedged_to():
    runner = warm(reserve=["r"])
    runner.tick(HEDGE)
    assert runner.wake_at() == FAILOVER
    assert runner.tick(0.2) == []


def test_the_reserve_starts_at_the_failover():
    runner = warm(reserve=["r", "s"])
    assert runner.tick(FAILOVER) == [("r", FAILED_OVER), ("s", FAILED_OVER)]


def test_the_reserve_waits_while_anything_else_is_under_way():
    runner = warm("b", reserve=["r"])
    runner.tick(HEDGE)
    assert runner.race.failed("a") == []
    assert runner.race.failed("b") == [("r", FAILURE)]


def test_the_reserve_starts_at_once_when_nothing_else_is_left():
    assert warm(reserve=["r", "s"]).race.failed("a") == [("r", FAILURE), ("s", FAILURE)]


def test_a_cold_race_that_failed_tries_its_reserve():
    runner = Runner(["a", "b"], (), ["r"])
    runner.race.begin()
    assert runner.race.failed("b") == []
    assert runner.race.failed("a") == [("r", FAILURE)]


def test_a_timer_that_is_a_tick_early_counts():
    assert warm("b").tick(HEDGE - 1e-9) == [("b", HEDGED)]


def test_the_budget_begins_with_one_hedge_and_never_holds_more_than_five():
    budget = HedgeBudget()
    assert [budget.take(), budget.take()] == [True, False]
    for _ in range(1_000):
        budget.deposit()
    assert [budget.take() for _ in range(6)] == [True] * 5 + [False]


def test_in_the_long_run_hedges_are_at_most_five_per_cent_of_the_connects():
    budget, hedges = HedgeBudget(), 0
    for _ in range(10_000):
        budget.deposit()
        hedges += budget.take()
    assert 499 <= hedges <= 501


def history(login: float, samples: int = MIN_SAMPLES) -> LoginLatency:
    latency = LoginLatency()
    for _ in range(samples):
        latency.observe(login, 0.0)
    return latency


@pytest.mark.parametrize(("login", "hedge"), [(0.001, HEDGE_MIN), (0.020, 0.040), (0.100, 0.200), (0.500, HEDGE_MAX)])
def test_the_hedge_delay_is_twice_the_nodes_own_percentile_within_bounds(login: float, hedge: float):
    assert delays(history(login), [], 0, 0.0).hedge == pytest.approx(hedge)


@pytest.mark.parametrize(("login", "failover"), [(0.001, FAILOVER), (0.125, 0.250), (0.400, 0.800), (5.0, DELAY_MAX)])
def test_the_failover_delay_is_longer_only_where_logins_take_longer(login: float, failover: float):
    assert delays(history(login), [], 0, 0.0).failover == pytest.approx(failover)


def test_a_node_with_few_samples_takes_the_median_nodes_percentile():
    others = [history(0.010), history(0.020), history(0.900), history(0.001, samples=3)]
    assert delays(LoginLatency(), others, 0, 0.0).hedge == pytest.approx(0.040)


def test_where_no_node_has_enough_samples_the_hedge_waits_longest():
    assert delays(LoginLatency(), [history(0.001, samples=19)], 0, 0.0) == (HEDGE_MAX, FAILOVER)


def test_both_delays_grow_with_our_own_logins_in_flight():
    own = history(0.100)
    assert delays(own, [], 1, 0.0) == pytest.approx((0.400, 0.400))
    assert delays(own, [], 3, 0.0) == pytest.approx((0.800, 0.800))


def test_our_own_load_lengthens_no_delay_beyond_two_seconds():
    assert delays(history(0.100), [], 1_000, 0.0) == (DELAY_MAX, DELAY_MAX)


@pytest.mark.parametrize("in_flight", [0, 10, 30, 99, 500])
def test_a_hedge_is_never_later_than_the_failover(in_flight: int):
    hedge, failover = delays(history(0.001), [], in_flight, 0.0)
    assert hedge <= failover


def test_while_a_connection_is_in_hand_the_next_that_may_fit_better_starts_at_once():
    runner = warm("b", "c", reserve=["d"])
    assert runner.race.held("a") == [("b", FAILURE)]
    assert runner.race.hopes == ("b", "c")


def test_a_connection_in_hand_starts_nothing_while_another_login_is_under_way():
    race = Race(["a", "b"], lambda: (["c"], []), lambda _: Delays(HEDGE, FAILOVER))
    race.begin()
    assert race.held("a") == []
    assert race.hopes == ("b", "c")


def test_who_has_a_connection_in_hand_does_not_wait_for_the_reserve():
    runner = warm(reserve=["d"])
    assert runner.race.held("a") == []
    assert runner.race.hopes == ()
