"""Logins that lost their race: they get a grace, then say goodbye; few are interrupted, and nobody waits for them."""

from __future__ import annotations

import asyncio
import random

import pytest

from aioclustersql import AllNodesFailed, ConnectTimeout
from aioclustersql.events import Event, LoginCut
from aioclustersql.node import Health

from .conftest import Racing
from .monitoring import block
from .tools import learn, now, start


@pytest.mark.every_loop
async def test_a_login_that_ends_within_its_grace_says_goodbye(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 1.125, "ok"))
    await cluster.connect()
    await asyncio.sleep(2)
    assert (driver["b"].goodbyes, driver["b"].interrupted, driver["b"].terminated) == (1, 0, 0)


@pytest.mark.every_loop
async def test_the_grace_is_a_second_from_the_races_end(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", None, "silent"))
    await cluster.connect()
    await asyncio.sleep(2)
    assert [(line.time, line.server) for line in driver.trace if line.what == "interrupted"] == [(1.25, "b")]


async def test_a_blocked_loop_does_not_use_up_the_grace(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.5, "ok"))
    await cluster.connect()
    driver["b"].freeze()
    await asyncio.sleep(0.5)
    block(2)  # it answered long since, and that is read only now
    asyncio.get_running_loop().call_later(0.001, driver["b"].thaw)
    await asyncio.sleep(1)
    assert (driver["b"].goodbyes, driver["b"].interrupted) == (1, 0)
    assert cluster.stats().nodes["b"].health is Health.UP


async def test_the_grace_grows_with_the_nodes_own_logins(racing: Racing):
    cluster, driver = racing(("a", 0.5, "ok"))
    await learn(cluster, driver)
    driver["a"].freeze()
    began = now()
    with pytest.raises(ConnectTimeout):
        await cluster.connect(timeout=0.25)
    await asyncio.sleep(5)
    cut = [line.time - began for line in driver.trace if line.what == "interrupted"]
    assert cut == pytest.approx([0.25 + 4 * 0.5])


async def test_a_loser_is_not_validated(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.5, "not-ready"))
    await cluster.connect()
    await asyncio.sleep(1)
    assert (driver["b"].goodbyes, cluster.stats().nodes["b"].errors) == (1, 0)


async def test_a_loser_that_is_being_validated_says_goodbye_when_that_is_over(racing: Racing):
    cluster, driver = racing(("a", 0.5, "ok"), ("b", 0.25, "ok"))
    driver["b"].validate_delay = 0.5
    assert (await cluster.connect()).server.name == "a"
    await asyncio.sleep(1)
    assert [(line.time, line.what) for line in driver.trace if line.server == "b"] == [
        (0.0, "login"),
        (0.25, "ok"),
        (0.75, "goodbye"),
    ]


async def test_a_loser_is_not_set_up(racing: Racing):
    set_up = []

    async def init(conn: object) -> None:
        set_up.append(conn)

    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.5, "ok"), init=init)
    conn = await cluster.connect()
    await asyncio.sleep(1)
    assert set_up == [conn]


async def test_the_caller_waits_for_no_loser(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.25, "ok"), ("c", None, "silent"))
    for server in driver:
        server.close_delay = 60
    await cluster.connect()
    assert now() == 0.25


async def test_a_goodbye_that_hangs_is_ended_after_a_second(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.5, "ok"))
    driver["b"].close_delay = 60
    await cluster.connect()
    await asyncio.sleep(5)
    assert [(line.time, line.what) for line in driver.trace if line.server == "b"][-1] == (1.5, "terminated")


@pytest.mark.parametrize("callers_time", [0.5, 0.25])
async def test_a_caller_whose_time_is_short_interrupts_no_login(racing: Racing, callers_time: float):
    cluster, driver = racing(*((name, 0.6, "ok") for name in "abc"))
    for _ in range(100):
        with pytest.raises((ConnectTimeout, AllNodesFailed)):
            await cluster.connect(timeout=callers_time)
    await asyncio.sleep(2)
    assert (driver.interrupted, sum(server.terminated for server in driver)) == (0, 0)
    assert sum(server.goodbyes for server in driver) == sum(server.succeeded for server in driver)


async def test_nobody_is_blocked_by_a_hundred_and_fifty_races(racing: Racing):
    cluster, driver = racing(("fast", 0.005, "ok"), ("b", 0.1, "ok"), ("c", 0.1, "ok"), stagger=0)
    for server in driver:
        server.max_connect_errors = 100
    for _ in range(150):
        driver.terminate(await cluster.connect(timeout=0.5))
    await asyncio.sleep(2)
    assert [server.connect_errors for server in driver] == [0, 0, 0]
    assert driver.interrupted == 0


async def test_a_node_has_at_most_two_unfinished_losers(racing: Racing):
    cluster, driver = racing(("a", 0.01, "ok"), ("b", None, "silent"))
    for _ in range(100):
        driver.terminate(await cluster.connect())
        assert driver["b"].logins_under_way <= 2
    assert driver["b"].max_logins_under_way <= 2


async def test_without_stagger_too_a_node_has_at_most_two_unfinished_losers(racing: Racing):
    cluster, driver = racing(("a", 0.01, "ok"), ("b", None, "silent"), stagger=0)
    for _ in range(300):
        driver.terminate(await cluster.connect())
    assert driver["b"].max_logins_under_way <= 2


async def test_when_nothing_else_is_left_a_congested_node_is_tried_all_the_same(racing: Racing):
    cluster, driver = racing(("a", None, "silent"))
    for _ in range(3):
        with pytest.raises(ConnectTimeout):
            await cluster.connect(timeout=0.125)
    assert driver["a"].started == 3


async def test_one_stalled_login_in_a_hundred_is_hedged_however_many_of_them_still_hang(racing: Racing):
    cluster, driver = racing(*((name, 0.002, "ok") for name in "abc"))
    rng, took, log_in = random.Random(3), [], driver.connect

    def connect(endpoint, password):
        driver[endpoint.address].delay = rng.uniform(0.05, 3.0) if rng.random() < 0.01 else rng.uniform(0.0015, 0.0025)
        return log_in(endpoint, password)

    driver.connect = connect  # type: ignore[method-assign]
    await learn(cluster, driver)
    driver.trace.clear()
    for _ in range(3_000):
        began = asyncio.get_running_loop().time()
        driver.terminate(await cluster.connect())
        took.append(asyncio.get_running_loop().time() - began)
    assert sorted(took)[2_997] <= 0.030
    assert len(driver.starts) <= 1.05 * 3_000


async def test_what_a_loser_took_is_a_sample(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.75, "ok"))
    await cluster.connect()
    await asyncio.sleep(1)
    assert cluster.stats().nodes["b"].latency == 0.75


async def test_what_a_loser_had_taken_when_cut_off_is_a_lower_bound(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", None, "silent"))
    events: list[Event] = []
    cluster.subscribe(events.append)
    await cluster.connect()
    await asyncio.sleep(1.5)
    node = cluster.stats().nodes["b"]
    assert (node.latency, node.cut, node.losses, node.errors) == (1.25, 1, 1, 1)
    assert [(event.node, event.seconds) for event in events if isinstance(event, LoginCut)] == [("b", 1.25)]
    assert driver["b"].interrupted == 1


async def test_a_loser_that_ends_within_its_grace_is_no_health_event(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.75, "ok"))
    for _ in range(20):
        await cluster.connect()
    await asyncio.sleep(2)
    assert [node.health for node in cluster.stats().nodes.values()] == [Health.UP] * 2


async def test_a_node_found_down_has_no_login_left_under_way(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", None, "silent"))
    waiting = [start(cluster, target="any", timeout=10) for _ in range(3)]
    await asyncio.wait(waiting)
    assert driver["b"].logins_under_way >= 1
    driver["b"].outcome = "refused"
    driver.terminate(await cluster.connect())
    cluster.update_node("a", weight=0.001)
    while cluster.stats().nodes["b"].health is not Health.DOWN:
        driver.terminate(await cluster.connect())
        await asyncio.sleep(0.1)
    await asyncio.sleep(0)
    assert driver["b"].logins_under_way == 0


async def test_stragglers_are_shown_in_the_stats(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", None, "silent"))
    await cluster.connect()
    node = cluster.stats().nodes["b"]
    assert (node.connecting, node.stragglers) == (1, 1)
    await asyncio.sleep(2)
    node = cluster.stats().nodes["b"]
    assert (node.connecting, node.stragglers) == (0, 0)


async def test_a_background_login_on_a_node_that_is_just_slow_is_not_interrupted(racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 1.125, "ok"))
    for _ in range(20):
        await cluster.connect()
    await asyncio.sleep(2)
    assert (driver["b"].interrupted, cluster.stats().nodes["b"].health) == (0, Health.UP)
