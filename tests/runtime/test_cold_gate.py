"""While nothing is known of any node, one race runs at a time and other callers wait for its end."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from aioclustersql import AllNodesFailed, ConnectTimeout, NotOpen
from aioclustersql.runtime.connector import GATE
from aioclustersql.testing import FakeConnection

from .conftest import Racing
from .tools import now, start


@pytest.mark.every_loop
async def test_other_callers_wait_for_the_first_race_and_then_make_one_login_each(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 4, "ok"), ("c", 4, "ok"))
    conns = await asyncio.gather(*(start(cluster) for _ in range(4)))
    assert [at for at, _ in driver.starts[:3]] == [0.0] * 3
    assert {at for at, _ in driver.starts[3:]} == {0.25}
    assert len(driver.starts) == 3 + 3
    assert now() == 0.5
    assert {conn.server.name for conn in conns} == {"a"}


async def test_when_the_first_caller_is_cancelled_the_next_one_races(racing: Racing):
    cluster, driver = racing(("a", 0.5, "ok"))
    first, second = start(cluster), start(cluster)
    await asyncio.sleep(0.125)
    first.cancel()
    assert (await second).server.name == "a"
    assert driver.starts == [(0.0, "a"), (0.125, "a")]
    assert first.cancelled()


async def test_when_the_first_callers_time_is_over_the_next_one_races(racing: Racing):
    cluster, _ = racing(("a", 0.5, "ok"))
    first, second = start(cluster, timeout=0.25), start(cluster)
    conn = await second
    assert (conn.server.name, now()) == ("a", 0.75)
    with pytest.raises(ConnectTimeout):
        await first


async def test_when_the_first_race_is_lost_the_next_caller_races_himself(racing: Racing):
    cluster, driver = racing(("a", 0.25, "wrong-password"))
    results = await asyncio.gather(*(start(cluster) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [AllNodesFailed] * 3
    assert driver["a"].max_logins_under_way == 1


async def test_a_waiting_callers_time_is_his_own_and_the_error_says_what_he_waited_for(racing: Racing):
    cluster, _ = racing(("a", 1, "ok"))
    first, second = start(cluster), start(cluster, timeout=0.5)
    with pytest.raises(ConnectTimeout, match=r"waiting for the first race of another caller: a: logging in for 0.5 s"):
        await second
    assert now() == 0.5
    await first


async def test_a_waiting_caller_that_is_cancelled_disturbs_nobody(racing: Racing):
    cluster, _ = racing(("a", 0.5, "ok"))
    first, second, third = start(cluster), start(cluster), start(cluster)
    await asyncio.sleep(0.125)
    second.cancel()
    await asyncio.wait({first, second, third})
    assert second.cancelled()
    assert (first.result().server.name, third.result().server.name) == ("a", "a")


async def test_closing_ends_those_who_wait(racing: Racing):
    cluster, _ = racing(("a", 0.5, "ok"))
    first, second = start(cluster), start(cluster)
    await asyncio.sleep(0.125)
    await cluster.close()
    for caller in (first, second):
        with pytest.raises(NotOpen, match="was closed while connecting"):
            await caller


async def test_without_stagger_nobody_waits(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.25, "ok"), stagger=0)
    await asyncio.gather(*(start(cluster) for _ in range(3)))
    assert driver.starts == [(0.0, name) for _ in range(3) for name in "ab"]
    assert now() == 0.25


async def test_when_all_nodes_have_come_back_hundreds_of_waiting_callers_are_served(racing: Racing):
    cluster, driver = racing(("a", 0.005, "ok"), ("b", 0.005, "ok"))
    await asyncio.gather(*(start(cluster) for _ in range(10)))
    for server in driver:
        server.kill()
    results = await asyncio.gather(*(start(cluster) for _ in range(20)), return_exceptions=True)
    assert {type(result) for result in results} == {AllNodesFailed}
    for server in driver:
        server.restart()
    began = now()
    await asyncio.gather(*(start(cluster) for _ in range(200)))
    assert now() - began < 0.1


async def test_a_first_race_that_hangs_does_not_keep_others_from_nodes_that_are_back(racing: Racing):
    cluster, driver = racing(("a", None, "silent"), ("b", None, "silent"))
    first = start(cluster, timeout=60)
    await asyncio.sleep(1)
    for server in driver:
        server.outcome = "ok"
    await cluster.connect(timeout=5)
    assert now() == pytest.approx(1 + GATE)
    first.cancel()
    await asyncio.wait({first})


async def test_one_lost_first_login_fails_only_its_own_caller(racing: Racing):
    cluster, driver = racing(("a", 0.005, "ok"))
    driver["a"].then(None, "silent")
    results = await asyncio.gather(*(start(cluster, timeout=3) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results].count(FakeConnection) == 4


async def test_the_connections_of_a_cold_burst_do_not_all_go_to_the_node_that_answered_first(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.3125, "ok"), ("c", 0.3125, "ok"))
    conns = await asyncio.gather(*(start(cluster) for _ in range(13)))
    spread = Counter(conn.server.name for conn in conns)
    assert sorted(spread) == ["a", "b", "c"]
    assert max(spread.values()) <= 8
