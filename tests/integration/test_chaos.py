"""Each fault of the stand once, for our own ways of use side by side: nothing is lost, doubled, unexplained or left over.

How long users wait is measured by `make chaos`; here it is compared where a fault's own duration tells what is too long.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chaos.clients import OURS, TUNED, clients
from chaos.engine import Engine, Galera, Postgres
from chaos.result import Result
from chaos.scenes import Scene, in_turn, scenes
from chaos.stage import play
from chaos.tell import tell
from tests.servers.galera import GaleraCluster

pytestmark = [pytest.mark.integration]

PACE = 0.5
"""Where only counts are looked at, the faults last half as long."""


def results(engine: Engine, scene: Scene, *names: str) -> Sequence[Result]:
    """What our clients of these names tell of a scene, or all our ways with their defaults, with each driver of that engine."""
    chosen = [make() for name, make in clients(engine.name).items() if name in (names or OURS - TUNED)]
    return list(tell(play(engine, scene, chosen, tasks=3, before=0.5), chosen))


def broken(told: Sequence[Result]) -> list[object]:
    """Every promise that was broken, save that of the time that it took, and what there is to see of it."""
    return [
        (each.client, complaint, each.misplaced, each.unexplained, each.left)
        for each in told
        for complaint in each.complaints
        if not complaint.endswith(" s late")
    ]


def scene(engine: Engine, name: str) -> Scene:
    """The one of that name."""
    return next(each for each in scenes(engine.name) if each.name == name)


@pytest.fixture
def galera_engine(galera_cluster: GaleraCluster) -> Engine:
    """Whole, and healed by the stand."""
    galera_cluster.heal()
    return Galera(galera_cluster)


@pytest.fixture
def postgres_engine(request: pytest.FixtureRequest) -> Engine:
    """Whole, and healed by the stand."""
    servers = request.getfixturevalue("postgres_cluster")
    servers.heal()
    return Postgres(servers)


def test_no_read_outlasts_the_stall_of_a_galera_cluster_when_a_node_is_killed(galera_engine: Engine) -> None:
    told = results(galera_engine, scene(galera_engine, "killed"))
    assert broken(told) == []
    assert [each for each in told if each.reads.longest > each.stall + 0.1] == []


def test_no_read_waits_for_a_frozen_galera_node_longer_than_it_takes_to_find_it_silent(galera_engine: Engine) -> None:
    told = results(galera_engine, scene(galera_engine, "frozen"))
    assert broken(told) == []
    assert [each for each in told if each.reads.longest > 1.8] == []


def test_a_galera_cluster_loses_a_node_in_every_other_way(galera_engine: Engine) -> None:
    faults = ("terminated", "outside the primary component", "read only", "desynced, as a donor is", "rejects queries")
    assert (
        broken(results(galera_engine, in_turn("galera", *faults, "all sessions killed", "connections exhausted", pace=PACE)))
        == []
    )


def test_a_galera_cluster_is_cut_off_in_every_way(galera_engine: Engine) -> None:
    faults = ("black-holed", "refused", "reset", "20 times slower", "1 % of requests stall")
    assert broken(results(galera_engine, in_turn("galera", *faults, pace=PACE))) == []


def test_two_galera_nodes_are_lost_at_once_and_then_all(galera_engine: Engine) -> None:
    assert broken(results(galera_engine, in_turn("galera", "one killed, one black-holed", "all down and back", pace=PACE))) == []


def test_a_stall_of_seconds_and_a_node_that_lies_cost_no_write(galera_turn: None) -> None:
    with GaleraCluster((3311, 3312, 3313), default_evs=True) as servers:
        engine = Galera(servers)
        told = results(engine, scene(engine, "thawed, and lying"))
    assert broken(told) == []
    assert min(each.stall for each in told) > 5.0, "the cluster noticed sooner than it is known to"
    assert [each for each in told if each.reads.longest > each.stall + 0.3] == []


@pytest.mark.parametrize(
    "how", ["killed, a standby promoted", "frozen, a standby promoted, thawed", "black-holed, a standby promoted"]
)
def test_writers_go_on_soon_after_a_promotion(postgres_engine: Engine, how: str) -> None:
    told = results(postgres_engine, scene(postgres_engine, f"primary {how}"), "aioclustersql run", "aioclustersql acquire")
    assert broken(told) == []
    assert [each.writes for each in told if each.writes.late is None or each.writes.late > 0] == []


def test_postgresql_loses_standbys_and_its_primary_in_every_other_way(postgres_engine: Engine) -> None:
    faults = ("standby terminated", "both standbys down and back", "primary read only", "all sessions killed")
    last = ("primary's connections exhausted", "standby frozen", "all down and back")
    assert broken(results(postgres_engine, in_turn("postgres", *faults, *last, pace=PACE))) == []


def test_postgresql_is_cut_off_in_every_way(postgres_engine: Engine) -> None:
    faults = ("standby black-holed", "primary refused", "primary reset", "standby 20 times slower", "1 % of requests stall")
    assert broken(results(postgres_engine, in_turn("postgres", *faults, pace=PACE))) == []


def test_who_has_a_second_for_a_unit_has_an_error_and_not_the_stall(postgres_engine: Engine) -> None:
    (told,) = results(postgres_engine, in_turn("postgres", "1 % of requests stall", pace=PACE), *TUNED)
    assert broken([told]) == []
    assert max(told.writes.longest, told.reads.longest) < 2.0


def test_strangers_leave_no_connection_to_anybody_else(postgres_engine: Engine) -> None:
    exhausted = scene(postgres_engine, "primary's connections exhausted")
    told = results(postgres_engine, exhausted)
    assert broken(told) == []
    assert [each for each in told if each.writes.longest < 0.5] == [], "somebody wrote while there was no connection"
    assert [each.writes for each in told if each.writes.late is None or each.writes.late > 0] == []
