"""What each failure allows in each phase, how long a retry waits, and when there is none."""

from __future__ import annotations

import math
import random

import pytest

from aioclustersql.failure import FailureKind as F
from aioclustersql.policy.retry import RESERVE, TABLE, Action, Phase, RetryBudget, action, pause, refusal

SURFACE, AGAIN, ELSEWHERE, RECONNECT, SAME_CONNECTION, UNKNOWN = Action


class Half:
    """A random source that always draws the middle."""

    def random(self) -> float:
        return 0.5


def test_every_meaning_is_in_the_table():
    assert set(TABLE) == set(F)


@pytest.mark.parametrize("kind", [F.OVERLOADED, F.HOST_BLOCKED, F.UNREACHABLE, F.TIMEOUT, F.NOT_READY, F.SESSION_LOST])
def test_a_node_that_cannot_begin_gives_way_to_another(kind: F):
    assert action(kind, Phase.BEGINNING) is ELSEWHERE


@pytest.mark.parametrize("kind", [F.UNREACHABLE, F.NOT_READY, F.SESSION_LOST, F.OUTCOME_UNKNOWN, F.FOUND_CLOSED, F.OVERLOADED])
def test_a_node_lost_in_mid_unit_gives_way_to_another(kind: F):
    assert action(kind, Phase.WORKING) is ELSEWHERE


@pytest.mark.parametrize(
    "kind",
    [F.UNREACHABLE, F.NOT_READY, F.SESSION_LOST, F.OUTCOME_UNKNOWN, F.INTERRUPTED, F.TIMEOUT, F.OVERLOADED, F.LOCK_TIMEOUT],
)
def test_a_commit_without_a_clear_answer_is_unknown(kind: F):
    assert action(kind, Phase.COMMITTING) is UNKNOWN


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("kind", [F.ROLLED_BACK, F.TRANSACTION_ENDED])
def test_what_the_server_rolled_back_runs_again(kind: F, phase: Phase):
    assert action(kind, phase) is AGAIN


@pytest.mark.parametrize("phase", Phase)
def test_a_changed_role_sends_the_unit_elsewhere_also_from_commit(phase: Phase):
    assert action(F.ROLE_CHANGED, phase) is ELSEWHERE


def test_a_write_in_a_read_only_transaction_is_the_units_own_fault():
    assert action(F.ROLE_CHANGED, Phase.WORKING, readonly=True) is SURFACE


def test_a_lock_not_had_in_time_runs_again():
    assert action(F.LOCK_TIMEOUT, Phase.WORKING) is AGAIN


@pytest.mark.parametrize("kind", [F.FOUND_CLOSED, F.IDLE_CLOSED])
def test_a_connection_found_closed_is_replaced_by_another(kind: F):
    assert action(kind, Phase.BEGINNING) is RECONNECT


def test_a_commit_that_was_never_sent_runs_again():
    assert action(F.FOUND_CLOSED, Phase.COMMITTING) is ELSEWHERE
    assert action(F.IDLE_CLOSED, Phase.COMMITTING) is AGAIN


def test_a_stale_plan_runs_again_on_the_same_connection():
    assert action(F.STALE_PLAN, Phase.WORKING) is SAME_CONNECTION


@pytest.mark.parametrize("phase", [Phase.BEGINNING, Phase.WORKING])
@pytest.mark.parametrize("kind", [F.OTHER, F.CONFIGURATION, F.INTERRUPTED])
def test_what_no_retry_heals_is_surfaced(kind: F, phase: Phase):
    assert action(kind, phase) is SURFACE


def test_the_users_own_time_limit_is_surfaced():
    assert action(F.TIMEOUT, Phase.WORKING) is SURFACE


def test_a_refused_commit_is_surfaced_and_unknown_only_when_the_connection_is_gone():
    assert action(F.OTHER, Phase.COMMITTING) is SURFACE
    assert action(F.OTHER, Phase.COMMITTING, lost=True) is UNKNOWN
    assert action(F.OTHER, Phase.WORKING, lost=True) is SURFACE


def test_the_first_fault_of_a_node_costs_no_pause():
    assert pause(ELSEWHERE, 1, Half()) == 0.0


@pytest.mark.parametrize("what", [RECONNECT, SAME_CONNECTION])
def test_what_blames_no_node_and_no_conflict_costs_no_pause(what: Action):
    assert [pause(what, failures, Half()) for failures in (1, 5, 50)] == [0.0, 0.0, 0.0]


def test_pauses_double_up_to_a_second():
    assert [pause(AGAIN, n, Half()) for n in range(1, 8)] == [0.025, 0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
    assert [pause(ELSEWHERE, n, Half()) for n in (2, 3)] == [0.05, 0.1]
    assert pause(AGAIN, 10_000, Half()) == 0.5


def test_a_begin_waits_a_fifth_of_a_second_at_most():
    assert [pause(ELSEWHERE, n, Half(), Phase.BEGINNING) for n in range(1, 6)] == [0.0, 0.05, 0.1, 0.1, 0.1]


def test_pauses_are_jittered_over_their_whole_length():
    rng = random.Random(1)
    drawn = sorted(pause(AGAIN, 1, rng) for _ in range(1000))
    assert 0.0 <= drawn[0] < 0.0005
    assert 0.0495 < drawn[-1] < 0.05
    assert 0.02 < drawn[500] < 0.03


def test_a_budget_lets_retries_at_most_double_the_load():
    budget = RetryBudget(tokens=0.0)
    paid = 0
    for _ in range(100):
        budget.deposit()
        paid += sum(budget.withdraw() for _ in range(4))
    assert paid == 100


def test_a_budget_holds_no_more_than_its_reserve():
    budget = RetryBudget()
    for _ in range(10):
        budget.deposit()
    assert budget.tokens == RESERVE
    assert repr(budget) == "<RetryBudget 200 of 200>"


def test_a_retry_that_is_allowed_is_paid_for():
    budget = RetryBudget(tokens=2.0)
    assert refusal(1, 2, 1.0, math.inf, budget) is None
    assert budget.tokens == 1.0


def test_a_retry_that_is_refused_costs_nothing():
    budget = RetryBudget(tokens=2.0)
    assert refusal(2, 2, 1.0, math.inf, budget) == "attempts=2 allows no further run"
    assert refusal(1, 2, 5.0, 5.0, budget) == "the time-out leaves no time for a further run"
    assert budget.tokens == 2.0


def test_an_empty_budget_refuses():
    assert refusal(1, 5, 0.0, math.inf, RetryBudget(tokens=0.5)) == (
        "the retry budget is spent: of late there were more retries than units of work"
    )
