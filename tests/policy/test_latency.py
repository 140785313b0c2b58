"""What is known of a node's login time, and how it is forgotten. Times are seconds on a clock of the test's own."""

from __future__ import annotations

from math import exp

import pytest

from aioclustersql.policy.latency import ALPHA, CAP, DECAY, FEW, GRACE_MIN, MIN_SAMPLES, WINDOW, LoginLatency, grace


def latency_of(*samples: float, at: float = 0.0) -> LoginLatency:
    latency = LoginLatency()
    for seconds in samples:
        latency.observe(seconds, at)
    return latency


def settled(seconds: float = 0.01, at: float = 0.0) -> LoginLatency:
    """One whose estimate is an average already."""
    return latency_of(*[seconds] * FEW, at=at)


def test_nothing_is_known_before_the_first_sample():
    latency = LoginLatency()
    assert (latency.known, latency.samples) == (False, 0)
    assert latency.estimate(5.0) is None
    assert latency.p95(5.0) is None


def test_the_first_sample_is_the_estimate():
    latency = latency_of(0.25, at=3.0)
    assert (latency.known, latency.estimate(3.0), latency.last_sample, latency.samples) == (True, 0.25, 3.0, 1)


def test_the_smallest_of_few_samples_is_the_estimate():
    latency = latency_of(0.5, 0.25, 0.75, 0.375)
    assert (latency.samples, latency.estimate(0.0)) == (FEW - 1, 0.25)


def test_from_the_fifth_sample_on_the_estimate_is_a_moving_average():
    latency = settled(0.010)
    latency.observe(0.020, 0.0)
    assert latency.estimate(0.0) == pytest.approx((1 - ALPHA) * 0.010 + ALPHA * 0.020)


def test_a_faster_sample_lowers_the_average_at_once():
    latency = settled(0.010)
    latency.observe(0.005, 0.0)
    assert latency.estimate(0.0) == pytest.approx((1 - ALPHA) * 0.010 + ALPHA * 0.005)


def test_one_stall_counts_at_most_four_times_the_estimate():
    latency = settled(0.010)
    latency.observe(60.0, 0.0)
    assert latency.estimate(0.0) == pytest.approx((1 - ALPHA) * 0.010 + ALPHA * CAP * 0.010)


def test_an_idle_estimate_returns_to_the_nodes_own_minimum():
    latency = settled(0.010)
    for _ in range(50):
        latency.observe(0.100, 0.0)
    high = latency.estimate(0.0)
    assert high is not None
    assert high > 0.09
    assert latency.estimate(DECAY) == pytest.approx(0.010 + (high - 0.010) * exp(-1.0))
    assert latency.estimate(40 * DECAY) == pytest.approx(0.010)


def test_a_far_node_stays_far_however_long_it_is_idle():
    assert settled(0.030).estimate(500.0) == pytest.approx(0.030)


def test_a_sample_after_a_pause_is_averaged_with_the_decayed_estimate():
    latency = settled(0.010)
    for _ in range(50):
        latency.observe(0.100, 0.0)
    decayed = latency.estimate(DECAY)
    assert decayed is not None
    latency.observe(0.020, DECAY)
    assert latency.estimate(DECAY) == pytest.approx((1 - ALPHA) * decayed + ALPHA * 0.020)


def test_the_minimum_is_forgotten_after_ten_minutes():
    latency = latency_of(0.001)
    for minute in range(12):
        for _ in range(40):
            latency.observe(0.050, minute * 60.0 + 30.0)
    assert latency.estimate(720.0 + 60.0) == pytest.approx(0.050, rel=1e-3)


def test_the_minimum_is_kept_for_nine_minutes():
    latency = latency_of(0.001)
    for minute in range(1, 9):
        for _ in range(20):
            latency.observe(0.050, minute * 60.0)
    assert latency.estimate(9 * 60.0 + 59.0) == pytest.approx(0.001, rel=1e-3)


def test_the_last_minimum_of_an_idle_node_is_never_forgotten():
    latency = settled(0.010)
    for _ in range(50):
        latency.observe(0.100, 0.0)
    assert latency.estimate(86_400.0) == pytest.approx(0.010)


def test_a_censored_sample_raises_the_estimate():
    latency = settled(0.010)
    latency.observe_at_least(1.0, 0.0)
    assert latency.estimate(0.0) == pytest.approx((1 - ALPHA) * 0.010 + ALPHA * CAP * 0.010)


def test_a_censored_sample_never_lowers_the_estimate():
    latency = settled(0.010)
    latency.observe_at_least(0.001, 0.0)
    assert latency.estimate(0.0) == 0.010


def test_a_censored_sample_says_nothing_of_percentiles_or_counts():
    latency = latency_of(*[0.010] * MIN_SAMPLES)
    latency.observe_at_least(1.0, 0.0)
    assert (latency.samples, latency.quantile(1.0, 0.0)) == (MIN_SAMPLES, 0.010)


def test_a_node_that_was_only_ever_cut_off_has_the_bound_as_its_estimate():
    latency = LoginLatency()
    latency.observe_at_least(1.0, 0.0)
    assert (latency.known, latency.estimate(100.0)) == (True, 1.0)


def test_a_login_in_a_crowd_of_ours_never_raises_the_estimate():
    latency = settled(0.010)
    latency.observe(0.5, 0.0, crowded=True)
    assert latency.estimate(0.0) == 0.010


def test_a_login_in_a_crowd_of_ours_lowers_the_estimate():
    latency = settled(0.010)
    latency.observe(0.005, 0.0, crowded=True)
    assert latency.estimate(0.0) == pytest.approx((1 - ALPHA) * 0.010 + ALPHA * 0.005)


def test_a_login_in_a_crowd_of_ours_says_nothing_of_percentiles():
    latency = latency_of(*[0.010] * MIN_SAMPLES)
    latency.observe(0.5, 0.0, crowded=True)
    latency.observe(0.001, 0.0, crowded=True)
    assert latency.quantile(0.0, 0.0) == latency.quantile(1.0, 0.0) == 0.010


def test_of_a_node_never_measured_even_a_login_in_a_crowd_is_the_estimate():
    latency = LoginLatency()
    latency.observe(0.5, 0.0, crowded=True)
    assert (latency.estimate(0.0), latency.samples) == (0.5, 1)


def test_a_percentile_needs_twenty_samples():
    latency = latency_of(*[0.010] * (MIN_SAMPLES - 1))
    assert latency.p95(0.0) is None
    latency.observe(0.010, 0.0)
    assert latency.p95(0.0) == 0.010


def test_the_percentile_is_of_the_sorted_window():
    latency = latency_of(*(n / 1000 for n in range(100, 0, -1)))
    assert latency.p95(0.0) == 0.096
    assert latency.quantile(0.5, 0.0) == 0.051
    assert latency.quantile(1.0, 0.0) == 0.100


def test_the_percentile_forgets_what_is_older_than_a_minute():
    latency = latency_of(*[0.5] * MIN_SAMPLES)
    for _ in range(MIN_SAMPLES):
        latency.observe(0.010, 30.0)
    assert (latency.p95(60.0), latency.p95(60.5)) == (0.5, 0.010)
    assert latency.p95(91.0) is None


def test_the_percentile_forgets_all_but_the_last_samples():
    latency = latency_of(*[0.5] * WINDOW, *[0.010] * WINDOW)
    assert latency.quantile(1.0, 0.0) == 0.010


def test_the_percentile_is_new_after_every_sample():
    latency = latency_of(*[0.010] * MIN_SAMPLES)
    assert latency.p95(0.0) == 0.010
    for _ in range(3):
        latency.observe(0.250, 0.0)
    assert latency.p95(0.0) == 0.250


def test_looking_at_a_percentile_changes_nothing():
    latency = latency_of(*[0.010] * MIN_SAMPLES)
    assert latency.quantile(0.95, 1_000.0) is None
    assert latency.quantile(0.95, 0.0) == 0.010


def test_looking_at_the_estimate_changes_nothing():
    latency = latency_of(0.001)
    for minute in range(3):
        for _ in range(20):
            latency.observe(0.050, minute * 60.0)
    before = latency.estimate(125.0)
    latency.estimate(10_000.0)
    assert latency.estimate(125.0) == before


def test_the_grace_is_a_second_where_nothing_is_known():
    assert grace(LoginLatency(), 0.0) == GRACE_MIN == 1.0


@pytest.mark.parametrize(("login", "expected"), [(0.010, 1.0), (0.25, 1.0), (0.5, 2.0)])
def test_the_grace_is_four_times_the_percentile_and_a_second_at_least(login: float, expected: float):
    assert grace(latency_of(*[login] * MIN_SAMPLES), 0.0) == expected
