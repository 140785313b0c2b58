"""When a node is called silent, and how often it is asked: the tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioclustersql.policy.verdict import LATE as LATE_BY
from aioclustersql.policy.verdict import Verdict, Window, judge, pause, renew_after

LATE, ALIVE, OURSELVES, SILENT = Verdict
NEVER = float("-inf")
WINDOW = Window(10.0, 0.5)
"""It begins at 10, calls its witnesses at 10.25, and ends at 10.5."""


@pytest.mark.parametrize(
    ("now", "heard", "others_heard", "verdict"),
    [
        (10.5, 9.9, 10.3, SILENT),
        (10.5, NEVER, 10.25, SILENT),
        (10.5, 10.0, 10.3, ALIVE),
        (10.5, 10.4, NEVER, ALIVE),
        (10.5, 9.9, 10.2, OURSELVES),
        (10.5, NEVER, NEVER, OURSELVES),
        (10.5 + 0.9 * LATE_BY, 9.9, 10.3, SILENT),
        (10.5 + LATE_BY + 0.001, 9.9, 10.3, LATE),
        (12.5, 10.4, 12.4, LATE),
        (12.5, NEVER, NEVER, LATE),
    ],
)
def test_the_end_of_a_window_has_its_verdict(now: float, heard: float, others_heard: float, verdict: Verdict):
    assert judge(WINDOW, now, heard=heard, others_heard=others_heard) is verdict


def test_what_others_said_in_the_first_half_does_not_acquit_us():
    assert judge(WINDOW, 10.5, heard=NEVER, others_heard=10.249) is OURSELVES


def test_the_longer_window_is_the_last_one():
    longer = WINDOW.longer(10.5)
    assert (longer.since, longer.half, longer.end) == (10.5, 11.0, 11.5)
    assert judge(longer, 11.5, heard=NEVER, others_heard=NEVER) is SILENT


def test_a_late_loop_voids_the_longer_window_too_and_it_stays_the_last():
    longer = WINDOW.longer(10.5)
    assert judge(longer, 13.5, heard=NEVER, others_heard=NEVER) is LATE
    assert longer.anew(13.5) == Window(13.5, 1.0, patient=True)


@given(heard=st.floats(0, 20), others=st.floats(0, 20), now=st.floats(10.5, 20), patient=st.booleans())
def test_a_verdict_by_silence_needs_a_timely_loop_and_no_sign_of_life(heard: float, others: float, now: float, patient: bool):
    window = Window(10.0, 0.5, patient)
    if judge(window, now, heard=heard, others_heard=others) is SILENT:
        assert now <= window.end + LATE_BY
        assert heard < window.since
        assert patient or others >= window.half


@pytest.mark.parametrize(
    ("down_for", "unsettled_for", "seconds"),
    [
        (None, None, 1.0),
        (None, 0.0, 0.05),
        (None, 29.9, 0.05),
        (None, 30.0, 0.25),
        (0.0, None, 0.25),
        (29.9, 0.0, 0.25),
        (30.0, None, 1.0),
        (30.0, 0.0, 1.0),
    ],
)
def test_nodes_are_asked_as_often_as_there_is_something_to_learn(
    down_for: float | None, unsettled_for: float | None, seconds: float
):
    assert pause(1.0, down_for=down_for, unsettled_for=unsettled_for) == seconds


@pytest.mark.parametrize(("down_for", "seconds"), [(0.0, 0.05), (4.9, 0.05), (5.0, 0.25), (30.0, 1.0)])
def test_a_node_whom_all_wait_for_is_asked_often_at_first(down_for: float, seconds: float):
    assert pause(1.0, down_for=down_for, unsettled_for=down_for, missed=True) == seconds


@given(
    interval=st.floats(0.01, 60),
    missed=st.booleans(),
    down_for=st.none() | st.floats(0, 100),
    unsettled_for=st.none() | st.floats(0, 100),
)
def test_nobody_is_asked_less_often_than_the_interval_says(
    interval: float, missed: bool, down_for: float | None, unsettled_for: float | None
):
    assert 0 < pause(interval, down_for=down_for, unsettled_for=unsettled_for, missed=missed) <= interval


def test_a_pending_login_is_renewed_every_five_seconds_for_a_minute_and_then_every_thirty():
    assert [renew_after(renewals) for renewals in range(14)] == [5.0] * 12 + [30.0] * 2
