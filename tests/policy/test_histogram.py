"""Samples come to stand in the right bucket, and what is read of them only grows."""

from __future__ import annotations

import pytest

from aioclustersql.policy.histogram import BOUNDS, Tally


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.0005, 0), (0.0006, 1), (0.25, 8), (0.3, 9), (30.0, 14), (31.0, 15)])
def test_a_bucket_reaches_up_to_its_own_bound(seconds: float, bucket: int):
    tally = Tally()
    tally.observe(seconds)
    found = tally.frozen()
    assert [at for at, count in enumerate(found.counts) if count] == [bucket]
    assert (found.count, found.sum) == (1, seconds)


def test_samples_that_jump_between_buckets_are_all_counted():
    tally = Tally()
    samples = [0.001, 0.002, 60.0, 0.002, 0.0, 0.0, 0.03, 0.0001]
    for seconds in samples:
        tally.observe(seconds)
    found = tally.frozen()
    below = [0.0, *BOUNDS]
    expected = [
        sum(1 for each in samples if each <= high and (each > low or low == 0.0))
        for low, high in zip(below, BOUNDS, strict=False)
    ]
    assert list(found.counts) == [*expected, 1]
    assert found.sum == pytest.approx(sum(samples))


def test_what_took_no_time_is_added_to_the_first_bucket():
    tally = Tally()
    tally.observe(0.2)
    assert tally.frozen(7).counts[0] == 7
    assert tally.frozen(7).count == 8


def test_a_snapshot_does_not_change():
    tally = Tally()
    before = tally.frozen()
    tally.observe(1.0)
    assert (before.count, tally.frozen().count) == (0, 1)
