"""An error that repeats is told once a minute, with how often it came meanwhile; and what is kept is bounded."""

from __future__ import annotations

from aioclustersql.policy.repeats import INTERVAL, MOST, Repeats


def test_what_repeats_is_told_once_and_counted_until_the_interval_is_over():
    repeats = Repeats()
    assert repeats.due("a", 0.0) == 0
    assert [repeats.due("a", at) for at in (1.0, 2.0, INTERVAL - 1)] == [None, None, None]
    assert repeats.due("a", INTERVAL) == 3
    assert repeats.due("a", 2 * INTERVAL) == 0


def test_different_things_do_not_hide_each_other():
    repeats = Repeats()
    assert (repeats.due("a", 0.0), repeats.due("b", 1.0)) == (0, 0)


def test_what_was_over_is_news_when_it_comes_again():
    repeats = Repeats()
    repeats.due("a", 0.0)
    repeats.forget("a")
    assert repeats.due("a", 1.0) == 0


def test_what_is_kept_is_bounded_and_the_rest_counts_as_one():
    repeats = Repeats()
    told = [number for number in range(10 * MOST) if repeats.due(number, 1.0) is not None]
    assert told == list(range(MOST + 1))
    assert len(repeats._said) == MOST + 1


def test_what_is_long_past_makes_room():
    repeats = Repeats()
    for number in range(MOST):
        repeats.due(number, 0.0)
    assert repeats.due("new", INTERVAL) == 0
    assert len(repeats._said) == 1
