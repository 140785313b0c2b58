"""Warm races: the nodes are known, one login is enough, and the next starts when that one fails or is silent for too long."""

from __future__ import annotations

import asyncio

import pytest

from aioclustersql.events import Event, HealthChanged, LoginStarted
from aioclustersql.node import Health
from aioclustersql.testing import FakeDriver, Row

from .conftest import Racing
from .tools import FakeCluster, learn, now, spend_hedges, start

LOGIN = 0.03125
HEDGE = 2 * LOGIN
THREE: tuple[Row, ...] = (("best", LOGIN, "ok"), ("b", 4 * LOGIN, "ok"), ("c", 4 * LOGIN, "ok"))
"""One node is much faster than the others: every warm connect goes there first."""


async def warm(racing: Racing, *rows: Row) -> tuple[FakeCluster, FakeDriver]:
    cluster, driver = racing(*(rows or THREE))
    await learn(cluster, driver)
    return cluster, driver


def hedges_of(cluster: FakeCluster) -> int:
    return sum(node.hedges for node in cluster.stats().nodes.values())


async def taken(cluster: FakeCluster, driver: FakeDriver) -> float:
    """How long a connect takes."""
    began = now()
    driver.terminate(await cluster.connect())
    return now() - began


async def first_on_best(cluster: FakeCluster, driver: FakeDriver) -> tuple[float, list[tuple[float, str]]]:
    """The first connect that starts on the best node: how long it takes, and which logins it makes when."""
    while True:
        driver.trace.clear()
        began = now()
        driver.terminate(await cluster.connect())
        if driver.starts[0][1] == "best":
            return now() - began, [(at - began, name) for at, name in driver.starts]
        await asyncio.sleep(5)


async def test_a_warm_connect_makes_one_login_and_takes_that_nodes_time(racing: Racing):
    cluster, driver = await warm(racing)
    took, starts = await first_on_best(cluster, driver)
    assert took == pytest.approx(LOGIN)
    assert starts == [(0.0, "best")]


async def test_a_failure_starts_the_next_node_at_once(racing: Racing):
    cluster, driver = await warm(racing)
    driver["best"].then(0.03, "overloaded")
    took, starts = await first_on_best(cluster, driver)
    assert [at for at, _ in starts] == pytest.approx([0.0, 0.03])
    assert took == pytest.approx(0.03 + 4 * LOGIN)


async def test_a_refused_login_costs_no_delay(racing: Racing):
    cluster, driver = await warm(racing)
    driver["best"].then(0, "refused")
    took, starts = await first_on_best(cluster, driver)
    assert [at for at, _ in starts] == [0.0, 0.0]
    assert took == pytest.approx(4 * LOGIN)


async def test_the_hedge_starts_after_twice_the_silent_nodes_percentile(racing: Racing):
    cluster, driver = await warm(racing)
    driver["best"].outcome = "silent"
    took, starts = await first_on_best(cluster, driver)
    assert starts[1][0] == pytest.approx(HEDGE)
    assert took == pytest.approx(HEDGE + 4 * LOGIN)


async def test_without_budget_the_failover_comes_after_a_quarter_of_a_second(racing: Racing):
    cluster, driver = await warm(racing)
    spend_hedges(cluster)
    hedges = hedges_of(cluster)
    driver["best"].outcome = "silent"
    took, starts = await first_on_best(cluster, driver)
    assert starts[1][0] == pytest.approx(0.25)
    assert took == pytest.approx(0.25 + 4 * LOGIN)
    assert hedges_of(cluster) == hedges


@pytest.mark.parametrize("fault", ["freeze", "kill"])
async def test_with_the_best_node_newly_dead_a_connect_takes_300_ms_at_most(racing: Racing, fault: str):
    cluster, driver = await warm(racing, *((name, 0.005, "ok") for name in "abc"))
    getattr(driver["a"], fault)()
    assert max([await taken(cluster, driver) for _ in range(300)]) <= 0.300


async def test_after_the_breaker_has_opened_connects_take_their_normal_time_again(racing: Racing):
    cluster, driver = await warm(racing, *((name, 0.005, "ok") for name in "abc"))
    driver["a"].freeze()
    while cluster.stats().nodes["a"].health is not Health.DOWN:
        await taken(cluster, driver)
    assert {round(await taken(cluster, driver), 6) for _ in range(100)} == {0.005}


async def test_several_silent_nodes_in_front_cost_half_a_second_and_not_one_delay_each(racing: Racing):
    cluster, driver = await warm(racing, *((f"n{n}", 0.005, "ok") for n in range(10)))
    spend_hedges(cluster)
    for n in range(9):
        driver[f"n{n}"].freeze()
    assert await taken(cluster, driver) <= 0.5 + 0.005 + 1e-6


async def test_three_silent_logins_in_a_row_open_the_breaker(racing: Racing):
    cluster, driver = await warm(racing)
    events: list[Event] = []
    cluster.subscribe(events.append)
    driver["best"].freeze()
    for _ in range(40):
        await taken(cluster, driver)
        await asyncio.sleep(2)
    changes = [(event.old, event.new) for event in events if isinstance(event, HealthChanged)]
    assert changes[:2] == [(Health.UP, Health.SUSPECT), (Health.SUSPECT, Health.DOWN)]


async def test_a_node_that_is_down_gets_one_probe_at_a_time_and_comes_back(racing: Racing):
    cluster, driver = await warm(racing)
    events: list[Event] = []
    driver["best"].kill()
    while cluster.stats().nodes["best"].health is not Health.DOWN:
        await taken(cluster, driver)
    cluster.subscribe(events.append)
    driver["best"].restart()
    for _ in range(60):
        await taken(cluster, driver)
    changes = [(event.old, event.new) for event in events if isinstance(event, HealthChanged)]
    assert changes == [(Health.DOWN, Health.HALF_OPEN), (Health.HALF_OPEN, Health.UP)]
    probes = [event for event in events if isinstance(event, LoginStarted) and event.reason == "probe" and event.node == "best"]
    assert len(probes) == 1


async def test_a_probe_delays_no_caller(racing: Racing):
    cluster, driver = await warm(racing, *((name, 0.005, "ok") for name in "abc"))
    driver["a"].kill()
    while cluster.stats().nodes["a"].health is not Health.DOWN:
        await taken(cluster, driver)
    driver["a"].restart()
    driver["a"].freeze()
    times = set()
    for _ in range(50):
        times.add(round(await taken(cluster, driver), 6))
        await asyncio.sleep(0.25)
    assert times == {0.005}


async def test_all_down_means_try_all(racing: Racing):
    cluster, driver = await warm(racing)
    for server in driver:
        server.kill()
    for _ in range(3):
        with pytest.raises(Exception, match="every node failed"):
            await cluster.connect()
    assert {node.health for node in cluster.stats().nodes.values()} == {Health.DOWN}
    for server in driver:
        server.restart()
    driver.trace.clear()
    assert (await cluster.connect()).server.name == "best"
    assert {name for _, name in driver.starts} == {"best", "b", "c"}


async def test_a_loaded_node_that_still_answers_others_is_not_hedged_against(racing: Racing):
    cluster, driver = await warm(racing, ("a", LOGIN, "ok"), ("b", LOGIN, "ok"))
    hedges = hedges_of(cluster)
    for name in "ab":
        for n in range(1, 9):
            driver[name].then(n * LOGIN, "ok")
    conns = await asyncio.gather(*(start(cluster) for _ in range(16)))
    assert len(driver.starts) == 16
    assert hedges_of(cluster) == hedges
    assert len(conns) == 16


async def test_a_new_node_among_warm_ones_is_measured_in_the_background(racing: Racing):
    cluster, driver = await warm(racing)
    driver.add("new").delay = 0.001
    cluster.add_node("new", "fake://app@new/test")
    assert await taken(cluster, driver) <= 4 * LOGIN
    assert driver["new"].started == 1
    await asyncio.sleep(1)
    assert cluster.stats().nodes["new"].latency == pytest.approx(0.001)


async def test_an_overloaded_node_is_tried_last_for_a_second(racing: Racing):
    cluster, driver = await warm(racing)
    driver["best"].outcome = "overloaded"
    while "best" not in [name for _, name in driver.starts]:
        await taken(cluster, driver)
    driver.trace.clear()
    for _ in range(5):
        await taken(cluster, driver)
    assert "best" not in [name for _, name in driver.starts]
    assert cluster.stats().nodes["best"].health is Health.UP


async def test_one_of_equal_nodes_that_is_found_full_is_passed_over_from_then_on(racing: Racing):
    cluster, driver = racing(*((name, 0.001, "ok") for name in "abc"))
    await learn(cluster, driver)
    driver["a"].outcome = "overloaded"
    for _ in range(100):
        driver.terminate(await cluster.connect())
    assert len([name for _, name in driver.starts if name == "a"]) == 1
