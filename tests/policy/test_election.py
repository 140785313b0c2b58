"""Which of several claimed primaries is the true one, and which nodes take the writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioclustersql.policy.election import Claim, Nominee, elect, superseded

UP, DOWN = True, False


@pytest.mark.parametrize(
    ("claims", "losers"),
    [
        ((), set()),
        ((Claim("a", 1, UP),), set()),
        ((Claim("a", 1, DOWN),), set()),
        ((Claim("a", 1, UP), Claim("b", 2, UP)), {"a"}),
        ((Claim("a", 3, UP), Claim("b", 2, UP), Claim("c", 1, UP)), {"b", "c"}),
        ((Claim("a", 1, UP), Claim("b", 2, DOWN)), {"a"}),
        ((Claim("a", 2, UP), Claim("b", 2, UP)), {"a", "b"}),
        ((Claim("a", 2, UP), Claim("b", 2, UP), Claim("c", 1, UP)), {"a", "b", "c"}),
        ((Claim("a", 2, UP), Claim("b", 2, DOWN)), set()),
        ((Claim("a", 2, DOWN), Claim("b", 2, DOWN)), set()),
    ],
)
def test_the_newest_timeline_wins_and_a_draw_has_no_winner(claims: tuple[Claim, ...], losers: set[str]):
    assert set(superseded(claims)) == losers


def test_the_cause_names_the_true_primary():
    cause = superseded([Claim("old", 1, UP), Claim("new", 2, UP)])["old"]
    assert cause == "it claims to be primary on timeline 1, but new is the primary on timeline 2"


def test_the_cause_says_what_to_do_about_a_true_primary_that_is_gone():
    cause = superseded([Claim("old", 1, UP), Claim("new", 2, DOWN)])["old"]
    assert cause.endswith("new is the primary on timeline 2, which is down now; if it is gone for good, remove node new")


def test_the_cause_of_a_draw_names_both():
    causes = superseded([Claim("a", 2, UP), Claim("b", 2, UP)])
    assert causes["a"] == causes["b"]
    assert causes["a"].startswith("a and b both claim to be primary on timeline 2, so neither is taken for it: ")


@given(st.lists(st.builds(Claim, st.sampled_from("abcde"), st.integers(1, 3), st.booleans()), unique_by=lambda each: each.name))
def test_at_most_one_live_primary_is_left(claims: list[Claim]):
    losers = superseded(claims)
    assert sum(claim.alive and claim.name not in losers for claim in claims) <= 1


def nominees(*names: str, **others: Nominee) -> list[Nominee]:
    return [others.get(name, Nominee(name, 1.0, fit=True)) for name in names]


def test_without_a_sitting_one_the_first_by_name_is_elected():
    assert elect(nominees("c", "b", "a"), 1, ()) == {"a"}


def test_weight_goes_before_the_name():
    assert elect(nominees("a", "b", b=Nominee("b", 2.0, fit=True)), 1, ()) == {"b"}


def test_a_sitting_one_stays_while_it_is_fit():
    assert elect(nominees("a", "b", a=Nominee("a", 9.0, fit=True)), 1, {"b"}) == {"b"}


def test_an_unfit_one_is_replaced():
    assert elect(nominees("a", "b", "c", a=Nominee("a", 1.0, fit=False)), 1, {"a"}) == {"b"}


def test_a_degraded_one_stays_and_is_not_chosen_anew():
    donor = Nominee("a", 1.0, fit=True, degraded=True)
    assert elect(nominees("a", "b", a=donor), 1, {"a"}) == {"a"}
    assert elect(nominees("a", "b", a=donor), 1, ()) == {"b"}


def test_no_more_are_elected_than_are_fit():
    assert elect(nominees("a", "b", a=Nominee("a", 1.0, fit=False)), 2, {"a"}) == {"b"}
    assert elect(nominees("a", a=Nominee("a", 1.0, fit=False)), 2, {"a"}) == set()


def test_as_many_as_are_wanted_take_the_writes():
    assert elect(nominees("a", "b", "c"), 2, {"c"}) == {"a", "c"}


@given(
    st.lists(
        st.builds(Nominee, st.sampled_from("abcdef"), st.sampled_from([1.0, 2.0]), st.booleans()), unique_by=lambda n: n.name
    ),
    st.integers(1, 3),
    st.sets(st.sampled_from("abcdef"), max_size=3),
)
def test_who_sits_and_is_fit_is_never_replaced(all_of_them: list[Nominee], count: int, sitting: set[str]):
    elected = elect(all_of_them, count, sitting)
    fit = {each.name for each in all_of_them if each.fit}
    assert len(elected) == min(count, len(fit))
    assert len(elected & sitting) == min(count, len(fit & sitting))
    assert elect(all_of_them, count, elected) == elected
