"""Pauses grow with the time for which something has failed, from and to a bound, and are random below that."""

from __future__ import annotations

import random

import pytest

from aioclustersql.policy.backoff import FIRST, MAX, backoff


class Always:
    """The same number each time."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("failing_for", "longest"), [(0.0, FIRST), (0.4, FIRST), (0.8, 0.1), (2.0, 0.25), (4.0, MAX), (3600.0, MAX)]
)
def test_a_pause_is_at_most_an_eighth_of_the_time_that_it_has_failed_within_its_bounds(failing_for: float, longest: float):
    assert backoff(failing_for, Always(1.0)) == pytest.approx(longest)
    assert backoff(failing_for, Always(0.5)) == pytest.approx(longest / 2)
    assert backoff(failing_for, Always(0.0)) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_what_heals_is_tried_again_before_an_eighth_more_has_passed_and_not_in_circles_before(seed: int):
    rng, at, tries = random.Random(seed), 0.0, 0
    while at < 10.0:
        pause = backoff(at, rng)
        assert pause <= max(FIRST, at / 8)
        at, tries = at + pause, tries + 1
    assert 30 <= tries <= 130
