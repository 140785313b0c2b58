"""What the stand concludes from its records: losses, waits, bounds, and the order of faults."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from chaos.bounds import Moments, broken, late
from chaos.check import errors, lost, misplaced, successes, waits
from chaos.gauge import Direct
from chaos.load import Unit
from chaos.result import Kept
from chaos.scenes import SCENES, Scene, in_turn, scenes
from chaos.soak import Footprint, chapter, grown
from chaos.summary import DRAWN

CLEAN = Kept(sockets=0, tasks=0, sessions=0, closing=False, reported=())


def write(key: str, began: float, ended: float | None, error: Exception | None = None, *, unknown: bool = False) -> Unit:
    return Unit("write", key, began, ended, error, unknown)


class Instead:
    """A store, as far as a gauge asks it."""

    def __init__(self, engine: str) -> None:
        self.engine = self
        self.name = engine


@pytest.mark.parametrize(("engine", "seconds"), [("galera", 0.75), ("postgres", 0.25)])
def test_what_a_direct_client_cannot_write_at_all_is_the_clusters_own_stall(engine: str, seconds: float) -> None:
    refused = OSError("1047")
    units = [write("1", 0.0, 0.1), write("2", 0.5, 0.75, refused), write("3", 0.8, 0.9, refused), write("4", 1.0, 1.25)]
    assert Direct(cast("Any", Instead(engine)), None, units=units).stall(0.2, 2.0) == seconds


def test_a_write_that_never_succeeds_again_counts_up_to_the_end() -> None:
    units = [write("1", 0.0, 0.125), write("2", 0.5, 0.75, OSError("1047"))]
    assert Direct(cast("Any", Instead("galera")), None, units=units).stall(0.25, 2.0) == 1.5


def where(*keys: str) -> dict[str, Counter[str]]:
    """Two nodes that have the same."""
    return {"a": Counter(keys), "b": Counter(keys)}


@pytest.mark.parametrize("keys", [(), ("w.1", "w.1")], ids=["lost", "doubled"])
def test_an_acknowledged_append_is_there_exactly_once(keys: tuple[str, ...]) -> None:
    units = [write("w.1", 0, 1)]
    assert misplaced(units, where("w.1")) == []
    assert len(misplaced(units, where(*keys))) == 1


def test_an_append_is_on_all_nodes_alike() -> None:
    assert len(misplaced([write("w.1", 0, 1)], {"a": Counter(["w.1"]), "b": Counter()})) == 1


def test_a_failed_append_is_absent_unless_its_outcome_was_called_unknown() -> None:
    error = OSError("gone")
    assert len(misplaced([write("w.1", 0, 1, error)], where("w.1"))) == 1
    assert misplaced([write("w.1", 0, 1, error, unknown=True)], where("w.1")) == []
    assert misplaced([write("w.1", 0, 1, error, unknown=True)], where()) == []
    assert len(misplaced([write("w.1", 0, 1, error, unknown=True)], where("w.1", "w.1"))) == 1


def test_a_loss_is_what_was_acknowledged_and_is_missing_somewhere() -> None:
    units = [write("w.1", 0, 1), write("w.2", 1, 2), write("w.3", 2, 3, OSError())]
    assert lost(units, {"a": Counter(["w.1", "w.2"]), "b": Counter(["w.1"])}) == 1


def test_a_wait_lasts_from_the_first_unit_without_success_to_the_next_success() -> None:
    units = [write("w.1", 1, 2, OSError()), write("w.2", 2, 3, OSError()), write("w.3", 3, 4), write("w.4", 4, 4.5)]
    found = waits(units, "write", 0, 5)
    assert (found.longest, found.open) == (3, False)
    assert found.each == ((1, 4), (4, 4.5))


def test_the_pause_that_the_stand_makes_after_an_error_is_not_the_librarys() -> None:
    found = waits([write("w.1", 1.0, 1.5, OSError()), write("w.2", 1.75, 2.0)], "write", 0, 5)
    assert (found.longest, found.each) == (1.0, ((1.0, 1.75),))


def test_a_task_that_waits_is_seen_among_others_that_fare_well() -> None:
    well = [write(f"well.{number}", number / 10, number / 10 + 0.05) for number in range(50)]
    found = waits([*well, write("ill.1", 1, 4)], "write", 0, 5)
    assert found.longest == 3
    assert found.gap < 0.2


def test_what_never_ends_counts_until_the_end_and_says_so() -> None:
    found = waits([write("w.1", 1, None)], "write", 0, 5)
    assert (found.longest, found.open, found.gap, found.total) == (4, True, 5, 5)


def test_a_write_has_until_the_bound_or_a_moment_after_the_promotion() -> None:
    scene = Scene("lost", (), writes=1.6)
    found = waits([write("w.1", 10, 12)], "write", 10, 20)
    assert late(scene, "write", found, Moments(10, 15, None), 0.0) == pytest.approx(0.4)
    assert late(scene, "write", found, Moments(10, 15, 11.8), 0.0) == pytest.approx(-0.1)


def test_who_comes_after_the_bound_has_no_more_than_the_bound() -> None:
    found = waits([write("w.1", 14, 16)], "write", 10, 20)
    assert late(Scene("lost", (), writes=1.6), "write", found, Moments(10, 15, None), 0.0) == pytest.approx(0.4)


def test_nobody_can_outrun_the_stall_of_the_cluster() -> None:
    found = waits([write("w.1", 10, 12)], "write", 10, 20)
    assert late(Scene("lost", (), writes=0.1), "write", found, Moments(10, 15, None), 1.8) == pytest.approx(-0.1)


def test_where_nothing_serves_the_bound_counts_from_when_it_was_undone() -> None:
    found = waits([write("w.1", 10, 16)], "write", 10, 20)
    assert late(Scene("all down", (), back=1.3), "write", found, Moments(10, 15, None), 0.0) == pytest.approx(-0.3)


def test_a_scene_without_a_bound_makes_nobody_late() -> None:
    found = waits([write("w.1", 10, 16)], "write", 10, 20)
    assert late(Scene("stalls", ()), "write", found, Moments(10, 15, None), 0.0) is None


def verdict(**changes: object) -> list[str]:
    facts: dict[str, object] = {
        "writes": None,
        "reads": -0.1,
        "unexplained": 0,
        "misplaced": 0,
        "by_database": False,
        "left": CLEAN,
        "aborted": {},
    }
    return broken(**{**facts, "may_be_cut": frozenset({"a"}), **changes})  # type: ignore[arg-type]


def test_who_keeps_everything_breaks_nothing() -> None:
    assert verdict() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"writes": 0.2},
        {"reads": 0.2},
        {"unexplained": 1},
        {"misplaced": 1},
        {"left": Kept(sockets=1, tasks=0, sessions=0, closing=False, reported=())},
        {"left": Kept(sockets=0, tasks=1, sessions=0, closing=False, reported=())},
        {"left": Kept(sockets=0, tasks=0, sessions=1, closing=False, reported=())},
        {"left": Kept(sockets=0, tasks=0, sessions=0, closing=True, reported=())},
        {"left": Kept(sockets=0, tasks=0, sessions=0, closing=False, reported=("never retrieved",))},
        {"aborted": {"b": {"Aborted_clients": 1}}},
    ],
    ids=lambda changes: str(changes)[:50],
)
def test_each_promise_can_be_broken(changes: dict[str, object]) -> None:
    assert len(verdict(**changes)) == 1


def test_a_loss_by_the_database_is_not_ours() -> None:
    assert verdict(misplaced=1, by_database=True) == []


def test_sessions_may_be_cut_off_on_a_node_that_something_befell() -> None:
    assert verdict(aborted={"a": {"Aborted_clients": 1}}) == []


def test_errors_are_counted_by_class_and_hung_ones_are_not_forgotten() -> None:
    units = [
        write("w.1", 0, 1, OSError()),
        write("w.2", 0, 1, OSError(), unknown=True),
        write("w.3", 0, None),
        write("w.4", 0, 1),
    ]
    assert errors(units) == {"OSError": 1, "OSError (unknown)": 1, "hung": 1}


def test_a_timeline_counts_successes_by_their_end() -> None:
    units = [write("w.1", 0, 0.01), write("w.2", 0, 0.06), write("w.3", 0, 0.07), write("w.4", 0, 0.12, OSError())]
    assert successes(units, "write", 0.0, 0.15, 0.05) == [1, 2, 0]


def test_scenes_in_turn_keep_their_order_and_their_pauses() -> None:
    acts = in_turn("galera", "killed", "read only", pace=0.5).acts
    assert [(act.after, act.do) for act in acts if act.do != "pause"] == [
        (0.0, "kill"),
        (1.0, "start"),
        (0.0, "read only"),
        (0.35, "read write"),
    ]


def test_where_one_standby_is_hurt_the_other_is_too() -> None:
    (scene,) = scenes("postgres", ("primary killed, standby black-holed",))
    first, second = scene.plays
    assert first == scene
    assert [(act.do, act.on) for act in second.acts] == [
        ("kill", 0), ("black hole", 1), ("promote", 2), ("clear", 1), ("start", 0)
    ]  # fmt: skip
    assert [sorted(play.hurt) for play in (first, second)] == [[0, 2], [0, 1]]
    assert (first.cut, second.cut) == ((0, 2), (0, 1))


def test_every_scene_that_hurts_one_standby_and_not_the_other_is_played_with_either() -> None:
    assert {scene.name for scene in SCENES["postgres"] if len(scene.hurt - {0}) == 1} == {
        scene.name for scene in SCENES["postgres"] if len(scene.plays) == 2
    }
    assert [scene for scene in SCENES["galera"] if len(scene.plays) > 1] == []


@pytest.mark.parametrize("engine", list(SCENES))
def test_names_of_scenes_are_unique_and_those_that_are_drawn_exist(engine: str) -> None:
    names = [scene.name for scene in SCENES[engine]]
    assert len(set(names)) == len(names)
    assert set(DRAWN[engine]) <= set(names)


def test_a_word_that_no_scene_has_is_an_error_that_names_them() -> None:
    with pytest.raises(LookupError, match="galera has no scene like flood: killed, "):
        scenes("galera", ("flood",))


def test_a_chapter_of_the_soak_follows_from_the_seed_and_its_number() -> None:
    assert chapter(7, 3) == chapter(7, 3)
    assert len({chapter(7, number) for number in range(20)}) == 20
    assert {chapter(7, number)[0] for number in range(2)} == {"galera", "postgres"}


def test_a_promotion_ends_a_chapter() -> None:
    for number in range(1, 200, 2):
        done = [act.do for act in chapter(7, number)[1].acts]
        if "promote" in done:
            assert "pause" not in done[done.index("promote") : -1]


def test_flat_is_what_ends_as_it_began() -> None:
    flat = [Footprint(100 * 2**20, 8)] * 9
    assert grown(flat) == []
    assert len(grown([*flat[:6], *[Footprint(140 * 2**20, 8)] * 3])) == 1
    assert len(grown([*flat[:6], *[Footprint(100 * 2**20, 9)] * 3])) == 1
