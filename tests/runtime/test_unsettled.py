"""How often nodes are asked while something is unsettled, so that a promotion, a failure or a healed node is seen soon."""

from __future__ import annotations

import asyncio

import pytest

from aioclustersql.node import Health, Role
from aioclustersql.testing import FakeDriver, Row

from .conftest import Racing
from .monitoring import Diary, all_of, health, until

UP, DOWN = Health.UP, Health.DOWN
PRIMARY: tuple[Row, ...] = (("p", 0, "ok", Role.PRIMARY), ("s", 0, "ok", Role.STANDBY), ("t", 0, "ok", Role.STANDBY))


async def probes_within(driver: FakeDriver, name: str, seconds: float) -> int:
    before = driver[name].probes
    await asyncio.sleep(seconds)
    return driver[name].probes - before


@pytest.mark.parametrize("promoted_at", [3.0, 3.21, 5.07])
async def test_a_promotion_is_seen_within_a_tenth_of_a_second_once_the_primary_is_lost(racing: Racing, promoted_at: float):
    cluster, driver = racing(*PRIMARY)
    diary = Diary(cluster)
    all_of(driver, timeline=1)
    async with cluster:
        await until(0.5)
        driver["p"].freeze()
        await until(promoted_at)
        driver["s"].role, driver["s"].timeline = Role.PRIMARY, 2
        await until(promoted_at + 1)
    ((at, name, role),) = diary.roles[3:]
    assert (name, role) == ("s", "primary")
    assert at <= promoted_at + 0.1


async def test_a_promotion_is_seen_so_soon_after_the_primary_refused_too(racing: Racing):
    cluster, driver = racing(*PRIMARY)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["p"].kill()
        await until(1.5)
        driver["s"].role = Role.PRIMARY
        await until(2)
    ((at, name, role),) = diary.roles[3:]
    assert (name, role) == ("s", "primary")
    assert 1.5 <= at <= 1.55


async def test_without_a_node_for_the_usual_target_the_others_are_asked_every_twentieth_second_for_half_a_minute(racing: Racing):
    cluster, driver = racing(*PRIMARY)
    async with cluster:
        await until(0.5)
        driver["p"].kill()
        await until(2)
        assert await probes_within(driver, "s", 10) in (199, 200, 201)
        await until(32)
        assert await probes_within(driver, "s", 10) in (39, 40, 41)


async def test_the_usual_target_is_the_clusters_own(racing: Racing):
    cluster, driver = racing(*PRIMARY, target="prefer-standby")
    async with cluster:
        await until(0.5)
        driver["p"].kill()
        await until(3)
        assert await probes_within(driver, "s", 10) == 10


async def test_for_a_second_after_a_node_changed_all_are_asked_often(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"), ("b", 0, "ok"))
    async with cluster:
        await until(0.5)
        driver["a"].kill()
        await until(1.0)
        assert await probes_within(driver, "b", 1) in (20, 21)
        await until(3)
        assert await probes_within(driver, "b", 5) == 5


async def test_a_node_far_slower_than_it_can_be_is_asked_often_and_back_in_the_band_soon_after_it_healed(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"), ("b", 0, "ok"))
    all_of(driver, ping_delay=0.001)
    async with cluster:
        await until(10.5)
        driver["a"].ping_delay = 0.020
        await until(20.5)
        assert (cluster.stats().nodes["a"].round_trip or 0) > 0.015
        driver["a"].ping_delay = 0.001
        await until(21)
        assert (cluster.stats().nodes["a"].round_trip or 1) < 0.0015
        assert await probes_within(driver, "a", 5) == 5


async def test_a_node_that_stays_slow_is_asked_less_often_after_half_a_minute(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"), ("b", 0, "ok"))
    all_of(driver, ping_delay=0.001)
    async with cluster:
        await until(10.5)
        driver["a"].ping_delay = 0.020
        await until(60)
        assert await probes_within(driver, "a", 10) in (39, 40)
        assert await probes_within(driver, "b", 10) == 10
        assert health(cluster) == {"a": "up", "b": "up"}
