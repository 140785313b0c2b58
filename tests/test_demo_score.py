"""The demo's bookkeeping."""

from datetime import UTC, datetime

from aioclustersql.demo.score import Score, headline, sparkline, verdict, winner, writes
from aioclustersql.events import Connected, Event, HealthChanged, Interrupted, NodeAdded, RoleChanged
from aioclustersql.node import Health, Role

_AT = datetime(2024, 1, 1, tzinfo=UTC)


def test_the_verdict_counts_connects_failures_and_lost_queries() -> None:
    score = Score()
    for _ in range(1200):
        score.connected(0.004)
    score.connected(0.254)
    assert verdict(score) == "1,201 connects made, 0 failed; the longest took 254 ms"
    score.connect_failed(1.5)
    score.query_lost()
    assert verdict(score) == "1,201 connects made, 1 failed; the longest took 1500 ms; 1 query was lost with its node"
    score.query_lost()
    assert verdict(score).endswith("; 2 queries were lost with their node")


def test_the_verdict_on_writes_names_those_whose_outcome_is_unknown() -> None:
    score = Score()
    score.wrote(0.004)
    score.wrote(1.25)
    assert writes(score) == "2 writes committed, 0 failed; the longest took 1250 ms"
    score.outcome_unknown()
    score.write_failed()
    assert writes(score) == "2 writes committed, 1 failed, 1 unknown (COMMIT sent, no answer); the longest took 1250 ms"


def test_history_is_wins_per_half_second_without_the_one_under_way() -> None:
    score = Score()
    for moment in (0.0, 0.25, 0.5, 1.75, 2.25):
        score.won("pg1", moment)
    assert score.history("pg1", 2.25, 10) == [2, 1, 0, 1]
    assert score.history("pg1", 2.25, 2) == [0, 1]
    assert score.history("pg2", 2.25, 10) == [0, 0, 0, 0]
    assert score.peak() == 2


def test_a_sparkline_shows_one_win_as_more_than_nothing() -> None:
    assert sparkline([0, 1, 50, 100], 100, " abcd") == " abd"
    assert sparkline([0, 0], 0, " abcd") == "  "


def test_only_news_make_a_headline() -> None:
    down = HealthChanged(at=_AT, cluster="demo", node="pg2", old=Health.UP, new=Health.DOWN, cause="refused")
    assert headline(down) == "pg2 is down: refused"
    up = HealthChanged(at=_AT, cluster="demo", node="pg2", old=Health.HALF_OPEN, new=Health.UP, cause="refused")
    assert headline(up) == "pg2 is up"
    promoted = RoleChanged(at=_AT, cluster="demo", node="pg2", old=Role.STANDBY, new=Role.PRIMARY)
    assert headline(promoted) == "pg2 was standby and is primary"
    assert headline(RoleChanged(at=_AT, cluster="demo", node="pg2", old=Role.UNKNOWN, new=Role.PRIMARY)) is None
    cut = Interrupted(at=_AT, cluster="demo", node="pg2", connections=3, cause="silent")
    assert headline(cut) == "pg2: 3 connections cut off, so that nobody waits for it"
    assert headline(NodeAdded(at=_AT, cluster="demo", node="pg2")) is None


def test_a_win_names_its_node() -> None:
    won: Event = Connected(at=_AT, cluster="demo", node="pg3", seconds=0.005, logins=1)
    assert winner(won) == "pg3"
    assert winner(NodeAdded(at=_AT, cluster="demo", node="pg2")) is None
