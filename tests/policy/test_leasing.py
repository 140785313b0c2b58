"""Which node a pooled connection is taken from, where the next is opened, and when connections move."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence

import pytest

from aioclustersql.policy.leasing import Offer, Serving, arrange, next_to_open, pick, uneven, worth
from aioclustersql.policy.ledger import Book, Ledger, Limits, Slot
from aioclustersql.policy.ranking import Fit


@pytest.fixture
def ledger() -> Ledger[str]:
    return Ledger(Limits(max_size=100))


def book(ledger: Ledger[str], name: str, idle: int = 0, leased: int = 0) -> Book:
    made = ledger.open_book(name)
    for number in range(idle + leased):
        slot = Slot()
        ledger.add(slot, made, 0.0, random.Random(1))
        if number < idle:
            ledger.settle(slot, float(number))
        else:
            ledger.lease(slot, 0.0)
    return made


def names(offers: Sequence[Offer]) -> list[str]:
    return [offer.book.name for offer in offers]


def shares(ledger: Ledger[str], serving: Serving, count: int = 3000, hold: int = 10, avoid: Collection[str] = ()) -> Counter[str]:
    """Who is picked, while `hold` leases are held at any time."""
    rng, held, picked = random.Random(7), [], Counter[str]()
    for turn in range(1, count + 1):
        found = pick(serving, rng, avoid=avoid)
        assert found is not None
        slot = ledger.take(found, 0.0)
        assert slot is not None
        found.chosen = turn
        picked[found.name] += 1
        held.append(slot)
        if len(held) > hold:
            back = held.pop(rng.randrange(len(held)))
            ledger.give_back(back, 0.0)
            ledger.settle(back, 0.0)
    return picked


# -- near and far ----------------------------------------------------------------------------------------------------------


def test_nodes_within_the_band_are_near_and_farther_ones_far(ledger: Ledger[str]):
    a, b, c = (book(ledger, name) for name in "abc")
    serving = arrange([Offer(a, round_trip=0.001), Offer(b, round_trip=0.0014), Offer(c, round_trip=0.002)])
    assert (names(serving.near), names(serving.far)) == (["a", "b"], ["c"])
    assert serving.books == [a, b, c]


def test_near_nodes_cost_the_same(ledger: Ledger[str]):
    serving = arrange([Offer(book(ledger, "a"), round_trip=0.001), Offer(book(ledger, "b"), round_trip=0.0014)])
    assert [offer.cost for offer in serving.near] == [0.001, 0.001]


def test_a_node_of_which_nothing_is_known_is_near(ledger: Ledger[str]):
    assert names(arrange([Offer(book(ledger, "a"), round_trip=0.001), Offer(book(ledger, "b"))]).near) == ["a", "b"]


def test_what_does_not_fit_or_is_closed_does_not_serve(ledger: Ledger[str]):
    closed = book(ledger, "b")
    closed.closed = True
    assert arrange([Offer(book(ledger, "a"), Fit.NO), Offer(closed)]) == Serving()


def test_a_fallback_serves_where_there_is_nothing_better(ledger: Ledger[str]):
    a, b = book(ledger, "a"), book(ledger, "b")
    assert arrange([Offer(a, Fit.FALLBACK), Offer(b)]).books == [b]
    assert arrange([Offer(a, Fit.FALLBACK)]).books == [a]


def test_a_last_resort_serves_where_there_is_nothing_better(ledger: Ledger[str]):
    a, b = book(ledger, "a"), book(ledger, "b")
    assert arrange([Offer(a, last_resort=True), Offer(b, Fit.FALLBACK)]).books == [b]
    assert arrange([Offer(a, last_resort=True)]).books == [a]


# -- whom to lease from ----------------------------------------------------------------------------------------------------


def test_nothing_idle_is_nothing_to_take(ledger: Ledger[str]):
    assert pick(arrange([Offer(book(ledger, "a", leased=2)), Offer(book(ledger, "b"))]), random.Random(1)) is None


@pytest.mark.parametrize("hold", [0, 1, 10, 60])
def test_three_equal_nodes_are_picked_alike(ledger: Ledger[str], hold: int):
    serving = arrange([Offer(book(ledger, name, 30), round_trip=0.001) for name in "abc"])
    picked = shares(ledger, serving, hold=hold)
    assert all(0.28 <= picked[name] / 3000 <= 0.39 for name in "abc"), picked


def test_a_node_twenty_times_slower_is_not_picked_while_near_ones_have_idle_connections(ledger: Ledger[str]):
    serving = arrange([Offer(book(ledger, name, 30), round_trip=0.02 if name == "c" else 0.001) for name in "abc"])
    assert shares(ledger, serving)["c"] == 0


@pytest.mark.parametrize("hold", [10, 30])
def test_weight_scales_the_share_under_load(ledger: Ledger[str], hold: int):
    serving = arrange([Offer(book(ledger, "a", 60), weight=2.0), Offer(book(ledger, "b", 60))])
    picked = shares(ledger, serving, hold=hold)
    assert 1.6 <= picked["a"] / picked["b"] <= 2.4, picked


def test_the_less_busy_of_two_is_picked(ledger: Ledger[str]):
    a, b = book(ledger, "a", idle=1, leased=1), book(ledger, "b", idle=1, leased=5)
    rng = random.Random(1)
    assert {pick(arrange([Offer(a), Offer(b)]), rng) for _ in range(50)} == {a}


def test_a_near_node_without_idle_connections_is_passed_over(ledger: Ledger[str]):
    a, b = book(ledger, "a"), book(ledger, "b", idle=1, leased=5)
    rng = random.Random(1)
    assert {pick(arrange([Offer(a), Offer(b)]), rng) for _ in range(50)} == {b}


def test_a_far_node_serves_when_every_near_one_would_take_longer(ledger: Ledger[str]):
    near, far = book(ledger, "near", leased=2), book(ledger, "far", idle=1)
    serving = arrange([Offer(near, round_trip=0.001), Offer(far, round_trip=0.004)])
    assert pick(serving, random.Random(1)) is None
    assert pick(serving, random.Random(1), waiting=2) is far


def test_what_is_to_be_avoided_is_not_picked(ledger: Ledger[str]):
    a, b = book(ledger, "a", idle=1), book(ledger, "b", idle=1, leased=5)
    serving = arrange([Offer(a), Offer(b)])
    assert pick(serving, random.Random(1), avoid=["a"]) is b
    assert pick(serving, random.Random(1), avoid=["a", "b"]) is None


# -- where to open ---------------------------------------------------------------------------------------------------------


def test_the_emptiest_node_gets_the_next_connection(ledger: Ledger[str]):
    a, b = book(ledger, "a", idle=2), book(ledger, "b", leased=1)
    assert next_to_open(arrange([Offer(a), Offer(b)]).near) is b


def test_of_equally_empty_ones_the_one_chosen_longest_ago(ledger: Ledger[str]):
    a, b = book(ledger, "a"), book(ledger, "b")
    a.chosen = 1
    assert next_to_open(arrange([Offer(a), Offer(b)]).near) is b


def test_connections_are_spread_by_weight(ledger: Ledger[str]):
    a, b = book(ledger, "a"), book(ledger, "b")
    offers = arrange([Offer(a, weight=3.0), Offer(b)]).near
    for _ in range(40):
        next_to_open(offers).connecting += 1
    assert (a.connecting, b.connecting) == (30, 10)


def test_a_node_to_be_avoided_is_opened_on_only_if_there_is_no_other(ledger: Ledger[str]):
    a, b = book(ledger, "a"), book(ledger, "b", idle=5)
    offers = arrange([Offer(a), Offer(b)]).near
    assert next_to_open(offers, ["a"]) is b
    assert next_to_open(offers[:1], ["a"]) is a


# -- whether a free connection is worth taking -----------------------------------------------------------------------------


def test_a_free_connection_on_a_near_node_is_always_worth_it(ledger: Ledger[str]):
    near = book(ledger, "near", leased=50)
    assert worth(arrange([Offer(near)]), near, 1)


def test_one_on_a_node_that_does_not_serve_is_not(ledger: Ledger[str]):
    assert not worth(arrange([Offer(book(ledger, "a"))]), book(ledger, "b"), 100)


def test_one_on_a_far_node_is_when_waiting_takes_longer(ledger: Ledger[str]):
    near, far = book(ledger, "near", leased=2), book(ledger, "far")
    serving = arrange([Offer(near, round_trip=0.001), Offer(far, round_trip=0.004)])
    assert not worth(serving, far, 1)
    assert worth(serving, far, 2)


def test_one_on_a_far_node_is_when_the_queue_is_known_to_take_longer(ledger: Ledger[str]):
    near, far = book(ledger, "near", leased=2), book(ledger, "far")
    serving = arrange([Offer(near, round_trip=0.001), Offer(far, round_trip=0.02)])
    assert not worth(serving, far, 1, queue=0.01)
    assert worth(serving, far, 1, queue=0.03)


def test_one_on_a_far_node_is_when_there_is_no_near_one(ledger: Ledger[str]):
    far = book(ledger, "far")
    assert worth(Serving(far=[Offer(far)]), far, 1)


# -- an even spread --------------------------------------------------------------------------------------------------------


def even(ledger: Ledger[str], **sizes: tuple[int, int]) -> tuple[str, str] | None:
    """What is uneven with these (idle, leased): who is poor, who is rich."""
    move = uneven(arrange([Offer(book(ledger, name, *size)) for name, size in sizes.items()]))
    return None if move is None else (move[0].name, move[1].book.name)


def test_a_node_that_came_back_gets_from_the_fullest(ledger: Ledger[str]):
    assert even(ledger, a=(6, 0), b=(8, 0), c=(0, 0)) == ("c", "b")


def test_the_one_idle_for_longest_is_moved(ledger: Ledger[str]):
    a, b = book(ledger, "a", 6), book(ledger, "b")
    assert uneven(arrange([Offer(a), Offer(b)])) == (b, a.idle[0])


def test_only_idle_connections_are_moved(ledger: Ledger[str]):
    assert even(ledger, a=(0, 6), b=(0, 0)) is None


@pytest.mark.parametrize("sizes", [(1, 0), (2, 1), (3, 2), (1, 1)])
def test_a_difference_of_one_is_even(ledger: Ledger[str], sizes: tuple[int, int]):
    assert even(ledger, a=(sizes[0], 0), b=(sizes[1], 0)) is None


def test_one_node_is_always_even(ledger: Ledger[str]):
    assert even(ledger, a=(9, 0)) is None


def test_weights_are_heeded(ledger: Ledger[str]):
    heavy, light = book(ledger, "heavy", 6), book(ledger, "light", 3)
    assert uneven(arrange([Offer(heavy, weight=2.0), Offer(light)])) is None
    assert uneven(arrange([Offer(heavy), Offer(light)])) is not None


@pytest.mark.parametrize("sizes", [(9, 0, 0), (5, 5, 0), (7, 0, 1, 1), (1, 2, 3, 4, 5)])
def test_moving_on_ends_in_an_even_spread(ledger: Ledger[str], sizes: tuple[int, ...]):
    books = [book(ledger, str(number), size) for number, size in enumerate(sizes)]
    serving = arrange([Offer(each) for each in books])
    moves = 0
    while (move := uneven(serving)) is not None:
        moves += 1
        assert moves < sum(sizes)
        poor, spare = move
        ledger.drop(spare, 0.0)
        slot = Slot()
        ledger.add(slot, poor, 0.0, random.Random(1))
        ledger.settle(slot, 0.0)
    assert max(each.size for each in books) - min(each.size for each in books) <= 1
