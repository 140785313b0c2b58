"""A lease fits what was asked for, also while nothing is known of the nodes' roles yet."""

from __future__ import annotations

import asyncio
import random

import pytest

from aioclustersql.errors import AcquireTimeout
from aioclustersql.node import Role, Target
from aioclustersql.policy.ranking import Fit, fit
from aioclustersql.testing import FakeConnection, Row

from .conftest import Pooling, Racing
from .tools import books, leasing, moment, now

PRIMARY_AND_STANDBYS: list[Row] = [("p", 0, "ok", Role.PRIMARY), ("s1", 0, "ok", Role.STANDBY), ("s2", 0, "ok", Role.STANDBY)]


@pytest.mark.parametrize("tells", [True, False])
async def test_a_standby_that_lost_the_race_of_a_connect_is_not_lent_for_writing(pooling: Pooling, tells: bool):
    """As on real servers: a caller of `connect` and one of `acquire` are the first two of a cold cluster."""
    cluster, driver = await pooling(("p", 0.0625, "ok", Role.PRIMARY), ("s", 0.125, "ok", Role.STANDBY))
    for server in driver:
        server.tells_role = tells
        server.then(server.delay, "ok")
    driver["p"].then(0.25, "ok")
    driver["s"].then(None, "silent")
    connecting = asyncio.create_task(cluster.connect(target="read-write"))
    await asyncio.sleep(0)
    async with cluster.acquire(target="read-write") as conn:
        assert (cluster.node_of(conn), now(), books(cluster)["s"][:2]) == ("p", 0.25, (1, 0))
    driver.terminate(await connecting)


async def test_one_that_does_not_serve_who_waits_says_goodbye(pooling: Pooling):
    """MySQL counts those that do not."""
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0.125, "ok"))
    for server in driver:
        server.then(server.delay, "ok").then(None, "silent").then(None, "silent")
    connecting = asyncio.create_task(cluster.connect())
    await asyncio.sleep(0)
    with pytest.raises(AcquireTimeout):
        await cluster.acquire(target="standby", timeout=0.25)
    assert (driver["b"].goodbyes, books(cluster)["b"][0]) == (1, 0)
    driver.terminate(await connecting)


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_is_first_gets_what_he_asked_for(racing: Racing, seed: int):
    rng = random.Random(seed)
    for _ in range(20):
        cluster, driver = racing(*PRIMARY_AND_STANDBYS, monitor_interval=rng.choice([None, 1.0]), min_size=rng.choice([0, 1]))
        for server in driver:
            server.delay, server.validate_delay = rng.choice([0.001, 0.01, 0.02]), rng.choice([None, 0.001])
            server.tells_role = rng.random() < 0.5
        await cluster.open()

        async def call(target: Target, leased: bool, after: float) -> None:
            await asyncio.sleep(after)
            doing = cluster.acquire if leased else cluster.connect  # noqa: B023 - awaited below
            conn = await doing(target=target)
            assert fit(conn.server.role, target) is Fit.YES or target is Target.PREFER_STANDBY
            if leased:
                await asyncio.sleep(0.001)
                await cluster.release(conn)  # noqa: B023
            else:
                driver.terminate(conn)  # noqa: B023

        targets = ["any", "read-write", "standby", "prefer-standby", "read-only"]
        calls = [(Target(rng.choice(targets)), rng.random() < 0.6, rng.choice([0.0, 0.0, 0.005, 0.03])) for _ in range(6)]
        await asyncio.gather(*(call(*each) for each in calls))
        await cluster.close()


async def test_an_idle_connection_of_a_node_of_unknown_role_is_asked_first(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok", Role.PRIMARY))
    driver["a"].tells_role = False
    async with cluster.acquire(target="any") as first:
        pass
    await moment()
    async with cluster.acquire(target="read-write") as second:
        assert (second, cluster.stats().nodes["a"].role) == (first, Role.PRIMARY)


async def test_one_that_comes_back_is_asked_before_it_goes_to_who_waits(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.125, "ok", Role.STANDBY), max_size=1)
    driver["a"].tells_role = False
    first = await cluster.acquire(target="any")
    caller = leasing(cluster, target="read-write", timeout=1)
    await moment()
    await cluster.release(first)
    with pytest.raises(AcquireTimeout):
        await caller
    assert (cluster.stats().nodes["a"].role, books(cluster)) == (Role.STANDBY, {"a": (1, 0, 0, 0)})


async def test_a_node_that_never_tells_its_role_is_asked_once_for_each_lease(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok", Role.UNKNOWN))
    asked: list[Target] = []
    validate = driver.validate

    async def validating(conn: FakeConnection, target: Target) -> Role:
        asked.append(target)
        return await validate(conn, target)

    driver.validate = validating  # type: ignore[method-assign]
    for target in (Target.ANY, Target.READ_WRITE, Target.READ_WRITE, Target.STANDBY):
        async with cluster.acquire(target=target):
            pass
        await moment()
    assert asked == [Target.ANY, Target.READ_WRITE, Target.STANDBY]
