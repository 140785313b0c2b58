"""The estimate of a round trip: it follows, forgets, and notices within three samples that a node has healed."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioclustersql.policy.roundtrip import BAND, NOISE, RoundTrip, equal_up_to


def after(*samples: float, every: float = 0.0) -> RoundTrip:
    """An estimator that has seen these."""
    trip = RoundTrip()
    for number, sample in enumerate(samples):
        trip.observe(sample, number * every)
    return trip


def test_nothing_is_known_before_the_first_sample():
    assert (RoundTrip().estimate(0.0), RoundTrip().floor, RoundTrip().is_far(0.0)) == (None, None, False)


def test_the_first_sample_is_the_estimate():
    assert after(0.010).estimate(0.0) == 0.010


def test_a_sample_moves_the_estimate_by_a_fifth():
    assert after(0.010, 0.015).estimate(0.0) == pytest.approx(0.011)


def test_a_sample_counts_twice_the_estimate_at_most():
    assert after(0.010, 10.0).estimate(0.0) == pytest.approx(0.012)


def test_an_estimate_of_nothing_can_grow():
    assert (after(0.0, *[0.010] * 100).estimate(0.0) or 0.0) > 0.009


def test_an_idle_estimate_returns_to_its_own_minimum_after_three_seconds():
    trip = after(0.010, 0.020)
    assert trip.estimate(3.0) == pytest.approx(0.012)
    assert trip.estimate(6.0) == pytest.approx(0.010 + 0.002 * math.exp(-1))
    assert trip.estimate(60.0) == pytest.approx(0.010)


def test_one_or_two_stalls_are_noise():
    assert (after(0.010, 1.0, 1.0).estimate(0.0) or 0.0) < 0.015
    assert (after(0.010, 1.0, 1.0, 0.010, 1.0, 1.0).estimate(0.0) or 0.0) < 0.025


def test_three_samples_in_a_row_beyond_the_cap_push_the_estimate_up_to_the_smallest_of_them():
    assert after(0.010, 0.3, 0.2, 0.4).estimate(0.0) == 0.2


def test_a_probe_every_second_is_enough_to_know_a_slow_node():
    assert after(0.001, *[0.020] * 3, every=1.0).estimate(3.0) == 0.020


def test_two_samples_below_the_estimate_are_not_enough_to_pull_it_down():
    slow = after(*[0.020] * 10)
    slow.observe(0.001, 0.0)
    slow.observe(0.001, 0.0)
    assert slow.estimate(0.0) == pytest.approx(0.020 * 0.64 + 0.001 * 0.36)


def test_three_samples_in_a_row_below_the_estimate_pull_it_down_to_the_greatest_of_them():
    slow = after(*[0.020] * 10)
    for sample in (0.001, 0.002, 0.001):
        slow.observe(sample, 0.0)
    assert slow.estimate(0.0) == 0.002


def test_a_sample_above_the_estimate_between_begins_the_count_anew():
    slow = after(*[0.020] * 10)
    for sample in (0.001, 0.001, 0.030, 0.001, 0.001):
        slow.observe(sample, 0.0)
    assert (slow.estimate(0.0) or 0.0) > 0.010


def test_the_minimum_is_forgotten_after_ten_minutes():
    trip = RoundTrip()
    trip.observe(0.001, 0.0)
    trip.observe(0.010, 599.0)
    assert trip.floor == 0.001
    trip.observe(0.010, 600.0)
    assert trip.floor == 0.010


@pytest.mark.parametrize(("samples", "far"), [([0.001], False), ([0.001] + [0.0029] * 30, False), ([0.001] + [0.02] * 30, True)])
def test_a_node_far_slower_than_it_can_be_is_known(samples: list[float], far: bool):
    assert after(*samples).is_far(0.0) is far


def test_a_round_trip_of_microseconds_is_never_far():
    assert not after(0.00005, *[0.0009] * 30).is_far(0.0)


@pytest.mark.parametrize(("low", "limit"), [(0.0001, 0.0001 + NOISE), (0.010, 0.010 * BAND)])
def test_what_counts_as_equal(low: float, limit: float):
    assert equal_up_to(low) == limit


def test_two_equal_nodes_stay_within_the_band():
    rng = random.Random(1)
    one, other = RoundTrip(), RoundTrip()
    outside = 0
    for turn in range(2_000):
        for trip in (one, other):
            trip.observe(0.0005 * rng.lognormvariate(0.0, 0.3), turn * 0.01)
        low, high = sorted((one.estimate(turn * 0.01) or 0.0, other.estimate(turn * 0.01) or 0.0))
        outside += high > equal_up_to(low)
    assert outside < 20


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=50))
def test_the_estimate_stays_within_what_was_seen(samples: list[float]):
    estimate = after(*samples, every=0.1).estimate(5.0) or 0.0
    assert min(samples) * (1 - 1e-9) <= estimate <= max(samples) * (1 + 1e-9)
