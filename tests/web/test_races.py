"""Races put together out of events: exact where several run at once, bounded where their end never comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aioclustersql.events import Connected, ConnectFailed, Event, LoginFailed, LoginStarted, LoginSucceeded
from aioclustersql.observe.web.limiter import Limiter
from aioclustersql.observe.web.races import MAX_OPEN, Race, Races

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def told(*events: Event) -> list[Race]:
    races = Races()
    return [race for event in events for race in races.take(event)]


def outcomes(race: Race) -> dict[str, str]:
    return {login.node: login.outcome for login in race.logins}


def test_races_at_once_on_the_same_nodes_are_told_apart():
    found = told(
        LoginStarted(at(0), "c", "a", "first", 1),
        LoginStarted(at(0.1), "c", "a", "first", 2),
        LoginStarted(at(0.2), "c", "b", "hedge", 1),
        LoginSucceeded(at(0.3), "c", "a", 0.2, False, 2),
        Connected(at(0.3), "c", "a", 0.2, 1, 2),
        LoginSucceeded(at(0.4), "c", "b", 0.2, False, 1),
        Connected(at(0.4), "c", "b", 0.4, 2, 1),
        LoginSucceeded(at(0.5), "c", "a", 0.5, True, 1),
    )
    assert [(race.node, outcomes(race), race.routine) for race in found] == [
        ("a", {"a": "won"}, True),
        ("b", {"a": "lost", "b": "won"}, False),
    ]


def test_a_connect_that_fails_tells_why():
    (race,) = told(
        LoginStarted(at(0), "c", "a", "first", 1),
        LoginFailed(at(1), "c", "a", 1.0, "refused", 1),
        ConnectFailed(at(1), "c", 1.0, "all nodes failed", 1),
    )
    assert (race.error, race.node, outcomes(race), race.logins[0].error) == ("all nodes failed", None, {"a": "failed"}, "refused")


def test_the_pool_s_logins_are_told_one_by_one():
    (race,) = told(LoginStarted(at(0), "c", "a", "pool"), LoginSucceeded(at(0.5), "c", "a", 0.5, False))
    assert (race.kind, race.node, race.seconds, outcomes(race)) == ("pool", "a", 0.5, {"a": "won"})


def test_what_began_before_anybody_watched_is_left_out():
    assert told(LoginSucceeded(at(0), "c", "a", 0.5, False), LoginSucceeded(at(1), "c", "b", 0.5, True, 7)) == []


def test_a_race_whose_caller_left_is_told_when_it_is_old():
    (race, *_) = told(
        LoginStarted(at(0), "c", "a", "first", 1),
        LoginSucceeded(at(1), "c", "a", 1.0, True, 1),
        LoginStarted(at(100), "c", "b", "first", 2),
    )
    assert (race.seconds, race.node, outcomes(race)) == (None, None, {"a": "lost"})


def test_races_under_way_are_bounded():
    races = Races()
    found = [race for number in range(2 * MAX_OPEN) for race in races.take(LoginStarted(at(0), "c", "a", "first", number))]
    assert len(found) == MAX_OPEN
    assert len(races._open) == MAX_OPEN


def test_lines_left_out_are_counted_by_kind():
    limiter = Limiter(2)
    assert [limiter.allow("a", now) for now in (0.0, 0.1, 0.2, 0.3)] == [0, 0, None, None]
    assert limiter.allow("b", 0.3) == 0
    assert [limiter.allow("a", now) for now in (1.0, 1.1)] == [2, 0]
