"""How many logins the servers see, and how they are shared: counted over seeded runs."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest

from aioclustersql.events import Event, HealthChanged
from aioclustersql.testing import FakeDriver

from . import tools
from .conftest import Racing
from .tools import FakeCluster, learn, start


async def one_by_one(cluster: FakeCluster, driver: FakeDriver, connects: int, *, pause: float = 0.0) -> Counter[str]:
    """Open and close connections in turn; who gave how many."""
    won = Counter[str]()
    for _ in range(connects):
        conn = await cluster.connect()
        won[conn.server.name] += 1
        await driver.close(conn)
        await asyncio.sleep(pause)
    return won


def slower_under_load(driver: FakeDriver) -> None:
    """Each login takes 5 ms x the logins under way on its server when it begins."""

    async def connect(endpoint: object, password: str | None) -> object:
        server = driver[endpoint.address]  # type: ignore[attr-defined]
        server.delay = 0.005 * (server.logins_under_way + 1)
        return await original(endpoint, password)  # type: ignore[arg-type]

    original = driver.connect
    driver.connect = connect  # type: ignore[method-assign,assignment]


async def test_a_thousand_warm_connects_make_at_most_five_per_cent_more_logins(racing: Racing):
    cluster, driver = racing(*((name, 0.005, "ok") for name in "abc"))
    await learn(cluster, driver)
    await one_by_one(cluster, driver, 1_000)
    assert len(driver.starts) <= 1_050


async def test_without_stagger_a_connect_makes_one_login_on_each_node_and_never_more(racing: Racing):
    cluster, driver = racing(*((name, delay, "ok") for name, delay in zip("abc", (0.005, 0.01, 0.02), strict=True)), stagger=0)
    for _ in range(100):
        driver.trace.clear()
        driver.terminate(await cluster.connect())
        await asyncio.sleep(0.05)
        assert sorted(name for _, name in driver.starts) == ["a", "b", "c"]


async def test_without_stagger_never_more_than_three_even_while_losers_are_under_way(racing: Racing):
    cluster, driver = racing(("a", 0.005, "ok"), ("b", 0.5, "ok"), ("c", None, "silent"), stagger=0)
    for _ in range(100):
        before = len(driver.starts)
        driver.terminate(await cluster.connect())
        assert len(driver.starts) - before <= 3


async def test_fifty_callers_of_a_cold_cluster_of_thirty_nodes_make_no_fifteen_hundred_logins(racing: Racing):
    cluster, driver = racing(*((f"n{n:02}", 0.005 + n / 1_000, "ok") for n in range(30)))
    conns = await asyncio.gather(*(start(cluster) for _ in range(50)))
    await asyncio.sleep(5)
    assert len(driver.starts) <= 30 + 55
    driver.assert_only_open(*conns)


@pytest.mark.parametrize("seed", range(5))
async def test_two_hundred_callers_of_a_warm_cluster_are_no_outage(racing: Racing, seed: int):
    cluster, driver = racing(*((name, 0.005, "ok") for name in "abc"), seed=seed)
    await learn(cluster, driver)
    slower_under_load(driver)
    events: list[Event] = []
    cluster.subscribe(events.append)
    conns = await asyncio.gather(*(start(cluster) for _ in range(200)))
    assert len(driver.starts) <= 210
    assert [event for event in events if isinstance(event, HealthChanged)] == []
    assert len(conns) == 200


@pytest.mark.parametrize("seed", range(3))
async def test_right_after_a_burst_of_ours_kept_connections_are_spread_equally(racing: Racing, seed: int):
    cluster, driver = racing(*((name, 0.005, "ok") for name in "abc"), seed=seed)
    await learn(cluster, driver)
    slower_under_load(driver)
    for conn in await asyncio.gather(*(start(cluster) for _ in range(200))):
        driver.terminate(conn)
    conns = [await cluster.connect() for _ in range(240)]
    won = Counter(conn.server.name for conn in conns)
    assert all(0.22 <= won[name] / 240 <= 0.45 for name in "abc")


async def test_when_the_best_node_is_silent_and_hundreds_come_at_once_all_are_served(racing: Racing):
    cluster, driver = racing(*((name, 0.005, "ok") for name in "abc"))
    await learn(cluster, driver)
    slower_under_load(driver)
    driver["a"].freeze()
    conns = await asyncio.gather(*(start(cluster, timeout=5) for _ in range(200)))
    assert {conn.server.name for conn in conns} == {"b", "c"}


@pytest.mark.parametrize("seed", range(3))
async def test_connections_that_are_kept_are_spread_equally(racing: Racing, seed: int):
    cluster, _ = racing(*((name, 0.005, "ok") for name in "abc"), seed=seed)
    conns = [await cluster.connect() for _ in range(240)]
    won = Counter(conn.server.name for conn in conns)
    assert all(0.28 <= won[name] / 240 <= 0.39 for name in "abc")


@pytest.mark.parametrize("seed", range(3))
async def test_connections_opened_and_closed_one_by_one_are_spread_equally(racing: Racing, seed: int):
    cluster, driver = racing(*((name, 0.005, "ok") for name in "abc"), seed=seed)
    won = await one_by_one(cluster, driver, 600)
    assert all(0.22 <= won[name] / 600 <= 0.45 for name in "abc")


@pytest.mark.parametrize("pause", [0.0, 1.0])
async def test_a_node_farther_away_gets_little_of_what_comes_one_by_one(racing: Racing, pause: float):
    cluster, driver = racing(("a", 0.005, "ok"), ("b", 0.005, "ok"), ("far", 0.025, "ok"))
    won = await one_by_one(cluster, driver, 600, pause=pause)
    assert won["far"] / 600 < 0.12


async def test_a_node_that_was_slow_once_is_used_again(racing: Racing):
    cluster, driver = racing(*((name, 0.005, "ok") for name in "abc"))
    await learn(cluster, driver)
    driver["a"].delay = 0.1
    await one_by_one(cluster, driver, 300)
    driver["a"].delay = 0.005
    await one_by_one(cluster, driver, 60, pause=1.0)
    won = await one_by_one(cluster, driver, 300)
    assert won["a"] / 300 > 0.2


async def test_kept_connections_follow_the_weights(racing: Racing):
    cluster, _ = racing(*((name, 0.005, "ok") for name in "abc"))
    cluster.update_node("c", weight=2.0)
    conns = [await cluster.connect() for _ in range(400)]
    won = Counter(conn.server.name for conn in conns)
    assert won["c"] / 400 == pytest.approx(0.5, abs=0.03)


async def test_connections_closed_by_their_users_no_longer_count(racing: Racing):
    cluster, driver = racing(*((name, 0.005, "ok") for name in "abc"))
    conns = [await cluster.connect() for _ in range(30)]
    assert sum(node.open for node in cluster.stats().nodes.values()) == 30
    for conn in conns:
        driver.terminate(conn)
    for _ in range(20):
        driver.terminate(await cluster.connect())
    assert sum(node.open for node in cluster.stats().nodes.values()) <= 3


async def test_connections_dropped_by_their_users_no_longer_count():
    cluster, _ = tools.racing(("a", 0.005, "ok"))
    conn = await cluster.connect()
    assert cluster.stats().nodes["a"].open == 1
    del conn
    gc.collect()
    assert cluster.stats().nodes["a"].open == 0
    await cluster.close()


async def test_a_node_whose_first_login_was_slow_is_measured_again_among_many_callers(racing: Racing):
    cluster, driver = racing(*((name, 0.005, "ok") for name in "abc"))
    driver["a"].then(0.04, "ok")

    async def caller() -> None:
        for _ in range(100):
            driver.terminate(await cluster.connect())

    await asyncio.gather(*(caller() for _ in range(4)))
    node = cluster.stats().nodes["a"]
    assert node.latency == pytest.approx(0.005)
    assert node.wins > 40
