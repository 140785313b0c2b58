"""The order in which one connect tries the nodes: by fitness, cost and turn; and the shares that come of it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from aioclustersql.node import Role, Target, Wants
from aioclustersql.policy.ranking import BAND, Fit, Fits, Order, eligible, fit, fits, lags, order, pick

YES, FALLBACK, NO = Fit


@dataclass
class Fake:
    """A candidate that is whatever the test says."""

    name: str
    estimate: float | None = 0.010
    role: Role = Role.PEER
    weight: float = 1.0
    load: int = 0
    last_chosen: int = 0
    usable: bool = True
    avoid_until: float = 0.0
    congested: bool = False
    under_way_since: float | None = None

    @property
    def fits(self) -> Fits:
        return fits(self.role)

    def login_estimate(self, now: float) -> float | None:
        return self.estimate


def ordered(*candidates: Fake, target: Target = Target.READ_WRITE) -> Order:
    return order(candidates, target, 0.0)


@pytest.mark.parametrize(
    ("target", "unknown", "primary", "read_only", "standby", "peer"),
    [
        (Target.ANY, YES, YES, YES, YES, YES),
        (Target.READ_WRITE, YES, YES, NO, NO, YES),
        (Target.PRIMARY, YES, YES, NO, NO, YES),
        (Target.PREFER_STANDBY, YES, FALLBACK, FALLBACK, YES, YES),
        (Target.STANDBY, YES, NO, NO, YES, NO),
        (Target.READ_ONLY, YES, NO, YES, YES, NO),
    ],
)
def test_every_role_has_its_fitness_for_every_target(
    target: Target, unknown: Fit, primary: Fit, read_only: Fit, standby: Fit, peer: Fit
):
    roles = (Role.UNKNOWN, Role.PRIMARY, Role.READ_ONLY, Role.STANDBY, Role.PEER)
    assert [fit(role, target) for role in roles] == [unknown, primary, read_only, standby, peer]


def test_the_faster_node_comes_first():
    assert ordered(Fake("slow", 0.050), Fake("fast", 0.010)).first == ("fast", "slow")


def test_latencies_within_the_band_are_equal_and_the_node_chosen_least_recently_comes_first():
    candidates = Fake("a", 0.010, last_chosen=3), Fake("b", 0.010 * BAND, last_chosen=1)
    assert ordered(*candidates).first == ("b", "a")


def test_latencies_outside_the_band_are_not_equal():
    candidates = Fake("a", 0.010, last_chosen=3), Fake("b", 0.010 * BAND + 1e-9, last_chosen=1)
    assert ordered(*candidates).first == ("a", "b")


def test_the_band_begins_at_its_fastest_node_and_does_not_creep():
    candidates = (
        Fake("a", 0.010, last_chosen=9),
        Fake("b", 0.014, last_chosen=8),
        Fake("c", 0.0196, last_chosen=7),
    )
    assert ordered(*candidates).first == ("b", "a", "c")


def test_load_counts_against_a_node():
    assert ordered(Fake("a", load=1), Fake("b", last_chosen=9)).first == ("b", "a")


def test_a_loaded_fast_node_costs_as_much_as_a_far_one():
    assert ordered(Fake("far", 0.050), Fake("near", 0.010, load=5)).first == ("far", "near")
    assert ordered(Fake("far", 0.050), Fake("near", 0.010, load=3)).first == ("near", "far")


def test_a_weight_divides_the_cost():
    candidates = Fake("light", load=2), Fake("heavy", load=4, weight=2.0, last_chosen=9)
    assert ordered(*candidates).first == ("heavy", "light")


def test_a_fallback_comes_after_all_that_fit_however_near_it_is():
    candidates = Fake("primary", 0.001, role=Role.PRIMARY), Fake("standby", 0.500, role=Role.STANDBY, load=9)
    assert ordered(*candidates, target=Target.PREFER_STANDBY).first == ("standby", "primary")


def test_an_avoided_node_comes_last_of_those_that_fit():
    assert ordered(Fake("full", 0.001, avoid_until=60.0), Fake("far", 0.500)).first == ("far", "full")


def test_an_avoided_node_comes_before_a_fallback():
    candidates = Fake("primary", role=Role.PRIMARY), Fake("standby", role=Role.STANDBY, avoid_until=60.0)
    assert ordered(*candidates, target=Target.PREFER_STANDBY).first == ("standby", "primary")


def test_an_unmeasured_node_comes_after_the_measured():
    assert ordered(Fake("new", None), Fake("old", 0.500)).first == ("old", "new")


UNUSABLE = [Fake("x", usable=False), Fake("x", None, congested=True), Fake("x", role=Role.STANDBY)]
"""Down, with too many unfinished lost logins and never measured, of the wrong role."""


@pytest.mark.parametrize("flawed", UNUSABLE)
def test_a_node_that_is_down_congested_or_unfit_is_in_the_reserve(flawed: Fake):
    assert ordered(flawed, Fake("good")) == Order(("good",), ("x",), cold=False)


def test_a_congested_node_is_tried_after_one_other_and_not_after_two():
    one = ordered(Fake("x", congested=True), Fake("good"))
    two = ordered(Fake("x", congested=True), Fake("good"), Fake("too"))
    assert one.rest(hedged=True) == (("good", "x"), ())
    assert two.rest(hedged=True) == (("good", "too"), ("x",))
    assert one.rest(hedged=False) == (("good",), ("x",))


def test_when_all_are_congested_they_are_tried_in_their_order():
    far, near = Fake("far", 0.5, congested=True), Fake("near", congested=True)
    assert ordered(far, near, Fake("down", usable=False)) == Order(("near", "far"), ("down",), cold=False)


def test_without_any_measurement_it_is_cold_and_all_are_first():
    assert ordered(Fake("a", None), Fake("b", None)) == Order(("a", "b"), (), cold=True)


def test_a_cold_order_keeps_its_reserve():
    assert ordered(Fake("a", None), Fake("b", usable=False)) == Order(("a",), ("b",), cold=True)


def test_with_nothing_but_a_reserve_all_are_tried_at_once():
    flawed = [replace(each, name=name) for each, name in zip(UNUSABLE, "abc", strict=True)]
    assert ordered(*flawed) == Order(("a", "b", "c"), (), cold=True)


def test_a_single_node_is_the_order():
    assert ordered(Fake("a")) == Order(("a",), (), cold=False)


def first_of(*candidates: Fake, rng: random.Random, target: Target = Target.READ_WRITE) -> str:
    """What a warm connect starts with."""
    picked = pick(eligible(candidates, target, 0.0), rng)
    assert picked is not None
    return picked.name


def test_the_power_of_two_choices_never_chooses_the_worst_of_three():
    rng, first = random.Random(1), Counter[str]()
    for _ in range(3_000):
        first[first_of(Fake("good", load=0), Fake("fair", load=1), Fake("bad", load=2), rng=rng)] += 1
    assert first["bad"] == 0
    assert 0.63 < first["good"] / 3_000 < 0.70


def test_far_nodes_are_not_eligible_however_many_they_are():
    near = Fake("near", 0.001)
    assert eligible([near, *(Fake(f"far{n}", 0.100) for n in range(8))], Target.READ_WRITE, 0.0) == [(0.001, near)]


def test_a_node_whose_first_login_is_under_way_is_eligible_when_the_known_ones_are_loaded():
    idle, loaded = Fake("idle", 0.010), Fake("loaded", 0.010, load=4)
    next_ = Fake("next", None, load=1, under_way_since=1.0)
    assert eligible([idle, next_], Target.READ_WRITE, 1.010) == [(0.010, idle)]
    assert eligible([loaded, next_], Target.READ_WRITE, 1.010) == [(0.010, loaded), (0.020, next_)]
    assert eligible([loaded, next_], Target.READ_WRITE, 1.023) == [(0.010, loaded)]
    assert eligible([next_], Target.READ_WRITE, 1.001) == []


def test_a_far_node_is_eligible_when_all_near_ones_are_so_loaded_that_it_costs_less():
    near, far = Fake("near", 0.010, load=10), Fake("far", 0.100)
    assert eligible([near, far], Target.READ_WRITE, 0.0) == [(0.010, near), (0.100, far)]
    assert eligible([Fake("near", 0.010, load=9), far], Target.READ_WRITE, 0.0) == [(0.010, Fake("near", 0.010, load=9))]


SPECIAL = [*UNUSABLE, Fake("x", avoid_until=60.0), Fake("x", None)]
"""These, too: avoided for now, never measured."""


@pytest.mark.parametrize("special", SPECIAL)
def test_a_special_node_is_not_eligible(special: Fake):
    assert eligible([special, Fake("a")], Target.READ_WRITE, 0.0) == [(0.01, Fake("a"))]
    assert eligible([special], Target.READ_WRITE, 0.0) == []


def test_without_an_eligible_node_none_is_picked():
    assert pick([], random.Random(1)) is None


def test_a_single_node_is_picked_while_its_breaker_is_closed():
    assert pick([(0.01, Fake("a"))], random.Random(1)) == Fake("a")
    assert pick([(0.01, Fake("a", usable=False))], random.Random(1)) is None


def test_a_node_whose_breaker_has_opened_meanwhile_is_not_picked():
    among = [(0.01, Fake("down", usable=False)), (0.01, Fake("a")), (0.01, Fake("b"))]
    rng = random.Random(1)
    names = {picked.name for picked in (pick(among, rng) for _ in range(200)) if picked is not None}
    assert "down" not in names
    assert names <= {"a", "b"}
    assert names


def test_a_pick_takes_the_cheaper_of_two_and_of_equals_the_one_chosen_least_recently():
    def picked(*candidates: Fake) -> set[str]:
        rng = random.Random(1)
        return {first_of(*candidates, rng=rng) for _ in range(20)}

    assert picked(Fake("near", 0.010, last_chosen=9), Fake("far", 0.016)) == {"near"}
    assert picked(Fake("a", 0.010, last_chosen=9), Fake("b", 0.015)) == {"b"}
    assert picked(Fake("a", load=2), Fake("b", load=4, weight=2.0, last_chosen=9)) == {"b"}


def shares(nodes: dict[str, float], connects: int, *, kept: bool, weights: dict[str, float] | None = None) -> dict[str, float]:
    """How a seeded run spreads over nodes with these login times and 20 % of noise."""
    rng, won = random.Random(7), Counter[str]()
    fakes = [Fake(name, seconds, weight=(weights or {}).get(name, 1.0)) for name, seconds in nodes.items()]
    by_name = {fake.name: fake for fake in fakes}
    for turn in range(1, connects + 1):
        for fake in fakes:
            fake.estimate = nodes[fake.name] * rng.uniform(0.9, 1.1)
        winner = by_name[first_of(*fakes, rng=rng)]
        winner.last_chosen = turn
        winner.load += kept
        won[winner.name] += 1
    return {name: won[name] / connects for name in nodes}


@pytest.mark.parametrize(("connects", "kept"), [(240, True), (600, False)])
def test_three_equal_nodes_share_equally(connects: int, kept: bool):
    assert all(0.28 <= share <= 0.39 for share in shares({"a": 0.01, "b": 0.01, "c": 0.01}, connects, kept=kept).values())


def test_a_far_node_gets_little_of_what_comes_one_by_one():
    assert shares({"a": 0.001, "b": 0.001, "far": 0.021}, 600, kept=False)["far"] < 0.12


def test_of_many_kept_connections_a_far_node_gets_its_part():
    spread = shares({"near": 0.010, "far": 0.040}, 500, kept=True)
    assert spread["near"] / spread["far"] == pytest.approx(4.0, rel=0.1)


def test_kept_connections_are_shared_by_weight():
    spread = shares({"a": 0.01, "b": 0.01, "c": 0.01}, 600, kept=True, weights={"c": 2.0})
    assert (spread["a"], spread["b"], spread["c"]) == pytest.approx((0.25, 0.25, 0.5), abs=0.02)


@pytest.mark.parametrize(
    ("role", "writer", "superseded", "served"),
    [
        (Role.PEER, None, False, {"any": YES, "read-write": YES, "primary": YES, "prefer-standby": YES}),
        (Role.PEER, True, False, {"any": YES, "read-write": YES, "primary": YES, "prefer-standby": FALLBACK}),
        (Role.PEER, False, False, {"any": YES, "prefer-standby": YES, "standby": YES}),
        (Role.PRIMARY, True, False, {"any": YES, "read-write": YES, "primary": YES, "prefer-standby": FALLBACK}),
        (Role.PRIMARY, False, False, {"any": YES, "prefer-standby": YES, "standby": YES}),
        (Role.PRIMARY, None, True, {"any": YES}),
        (Role.READ_ONLY, False, False, {"any": YES, "prefer-standby": FALLBACK, "read-only": YES}),
        (Role.UNKNOWN, True, False, dict.fromkeys(Target, YES)),
        (Role.UNKNOWN, False, False, {"any": YES, "prefer-standby": YES, "standby": YES, "read-only": YES}),
    ],
)
def test_a_nodes_place_among_the_others_decides_what_it_serves(
    role: Role, writer: bool | None, superseded: bool, served: dict[str, Fit]
):
    found = fits(role, writer=writer, superseded=superseded)
    assert {target: fitness for target, fitness in found.items() if fitness is not NO} == served


@pytest.mark.parametrize(
    ("wants", "lag", "lag_bytes", "too_far"),
    [
        (Wants(), None, None, False),
        (Wants(max_lag=2.0), 2.0, None, False),
        (Wants(max_lag=2.0), 2.1, 0, True),
        (Wants(max_lag=2.0), None, 0, True),
        (Wants(max_lag_bytes=100), None, 100, False),
        (Wants(max_lag_bytes=100), 0.0, 101, True),
        (Wants(max_lag_bytes=100), 0.0, None, True),
        (Wants(max_lag=2.0, max_lag_bytes=100), 1.0, 101, True),
    ],
)
def test_an_unknown_lag_is_too_far_behind_where_a_limit_is_set(
    wants: Wants, lag: float | None, lag_bytes: int | None, too_far: bool
):
    assert lags(wants, lag, lag_bytes) is too_far
