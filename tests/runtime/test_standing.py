"""Which node is the primary, which take the writes, how far behind is too far: what was seen, and what connects make of it."""

from __future__ import annotations

import asyncio

import pytest

from aioclustersql import AllNodesFailed, NoNodeAvailable
from aioclustersql.node import Role, Target, Wants
from aioclustersql.policy.ranking import Fit
from aioclustersql.testing import Row

from .conftest import Racing
from .monitoring import all_of, member_of, nodes_of, until
from .tools import now

PAIR: tuple[Row, ...] = (("old", 0, "ok", Role.PRIMARY), ("new", 0, "ok", Role.STANDBY))
YES, FALLBACK, NO = Fit


async def test_of_two_primaries_the_one_on_the_newer_timeline_is_taken(racing: Racing, caplog: pytest.LogCaptureFixture):
    cluster, driver = racing(*PAIR)
    all_of(driver, timeline=1)
    async with cluster:
        await until(0.5)
        driver["new"].role, driver["new"].timeline = Role.PRIMARY, 2
        await until(1.5)
        assert await nodes_of(cluster) == {"new"}
        assert await nodes_of(cluster, target="any") == {"old", "new"}
        node = cluster.stats().nodes["old"]
        assert (node.role, node.cause) == (
            Role.PRIMARY,
            "it claims to be primary on timeline 1, but new is the primary on timeline 2",
        )
    assert "node old is not taken for the primary: it claims to be primary on timeline 1" in caplog.text


async def test_to_learn_that_a_node_is_one_of_many_is_no_warning(racing: Racing, caplog: pytest.LogCaptureFixture):
    cluster, driver = racing(("a", 0, "ok", Role.PRIMARY))
    async with cluster:
        async with cluster.connect():  # all that a login shows of a Galera node is that it takes writes
            driver["a"].role = Role.PEER
        await until(1.5)
        assert cluster.stats().nodes["a"].role is Role.PEER
    assert "role" not in caplog.text


async def test_a_change_of_role_is_a_warning(racing: Racing, caplog: pytest.LogCaptureFixture):
    cluster, driver = racing(("a", 0, "ok", Role.PRIMARY))
    async with cluster:
        await until(0.5)
        driver["a"].role = Role.STANDBY
        await until(1.5)
    assert "node a: role primary -> standby" in caplog.text


async def test_a_primary_that_was_frozen_is_not_taken_for_it_when_it_wakes(racing: Racing):
    cluster, driver = racing(*PAIR)
    all_of(driver, timeline=1)
    async with cluster:
        await until(0.5)
        driver["old"].freeze()
        await until(2)
        driver["new"].role, driver["new"].timeline = Role.PRIMARY, 2
        await until(2.5)
        driver["old"].thaw()
        for _ in range(50):
            assert await nodes_of(cluster, 1) == {"new"}
            await asyncio.sleep(0.05)


async def test_a_login_that_claims_to_be_on_the_primary_is_refused_by_the_name_of_the_true_one(racing: Racing):
    cluster, driver = racing(*PAIR)
    all_of(driver, timeline=1)
    async with cluster:
        await until(0.5)
        driver["new"].role, driver["new"].timeline = Role.PRIMARY, 2
        await until(1.5)
        driver["new"].kill()
        with pytest.raises(AllNodesFailed, match="but new is the primary on timeline 2"):
            await cluster.connect()


async def test_a_primary_that_became_a_standby_serves_as_one(racing: Racing):
    cluster, driver = racing(*PAIR)
    all_of(driver, timeline=1)
    async with cluster:
        await until(0.5)
        driver["new"].role, driver["new"].timeline = Role.PRIMARY, 2
        await until(1.5)
        driver["old"].role, driver["old"].timeline = Role.STANDBY, 2
        await until(3.5)
        assert cluster.stats().nodes["old"].cause is None
        assert await nodes_of(cluster, target="standby") == {"old"}


async def test_two_primaries_on_one_timeline_are_both_refused_and_it_is_logged_once(
    racing: Racing, caplog: pytest.LogCaptureFixture
):
    cluster, driver = racing(*PAIR)
    all_of(driver, timeline=1)
    async with cluster:
        await until(0.5)
        driver["new"].role = Role.PRIMARY
        await until(4)
        with pytest.raises(
            AllNodesFailed, match="new and old both claim to be primary on timeline 1, so neither is taken for it"
        ):
            await cluster.connect()
        assert await nodes_of(cluster, target="any") == {"old", "new"}
        driver["new"].role = Role.STANDBY
        await until(4.5)
        assert await nodes_of(cluster) == {"old"}
    assert caplog.text.count("old is not taken for the primary") == 1


async def test_a_draw_ends_when_one_of_them_is_down(racing: Racing):
    cluster, driver = racing(*PAIR)
    all_of(driver, timeline=1)
    async with cluster:
        await until(0.5)
        driver["new"].role = Role.PRIMARY
        await until(2)
        driver["old"].kill()
        await until(2.5)
        assert await nodes_of(cluster) == {"new"}


async def test_removing_the_true_primary_lets_the_other_be_it(racing: Racing):
    cluster, driver = racing(*PAIR)
    all_of(driver, timeline=1)
    async with cluster:
        await until(0.5)
        driver["new"].role, driver["new"].timeline = Role.PRIMARY, 2
        await until(1.5)
        cluster.remove_node("new")
        assert await nodes_of(cluster) == {"old"}


async def test_a_promotion_that_a_login_sees_first_is_no_draw(racing: Racing, caplog: pytest.LogCaptureFixture):
    cluster, driver = racing(*PAIR)
    all_of(driver, timeline=1)
    async with cluster:
        await until(0.5)
        driver["new"].role, driver["new"].timeline = Role.PRIMARY, 2
        with pytest.raises(AllNodesFailed):
            await cluster.connect(target="standby")
        assert await nodes_of(cluster) == {"new"}
    assert "both claim" not in caplog.text


async def test_where_there_are_no_timelines_two_primaries_both_serve(racing: Racing):
    cluster, _ = racing(("a", 0, "ok", Role.PRIMARY), ("b", 0, "ok", Role.PRIMARY))
    async with cluster:
        await until(1.5)
        assert await nodes_of(cluster) == {"a", "b"}


# -- lag ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "lag", "wants", "fitness"),
    [
        (Role.STANDBY, 1.0, Wants(Target.STANDBY), YES),
        (Role.STANDBY, None, Wants(Target.STANDBY), YES),
        (Role.STANDBY, 1.0, Wants(Target.STANDBY, max_lag=2.0), YES),
        (Role.STANDBY, 3.0, Wants(Target.STANDBY, max_lag=2.0), NO),
        (Role.STANDBY, None, Wants(Target.STANDBY, max_lag=2.0), NO),
        (Role.STANDBY, 3.0, Wants(Target.ANY, max_lag=2.0), NO),
        (Role.PRIMARY, None, Wants(Target.ANY, max_lag=2.0), YES),
        (Role.PRIMARY, None, Wants(Target.PREFER_STANDBY, max_lag=2.0), FALLBACK),
        (Role.PRIMARY, None, Wants(Target.READ_WRITE, max_lag=2.0), YES),
        (Role.PEER, None, Wants(Target.PREFER_STANDBY, max_lag=2.0), YES),
    ],
)
async def test_a_standby_that_is_too_far_behind_does_not_serve(
    racing: Racing, role: Role, lag: float | None, wants: Wants, fitness: Fit
):
    cluster, driver = racing(("a", 0, "ok", role))
    driver["a"].lag = lag
    async with cluster:
        await until(0.5)
        assert cluster._registry.standing.serves(member_of(cluster, "a"), wants, now()) is fitness


async def test_a_lag_that_was_observed_too_long_ago_is_not_known(racing: Racing):
    cluster, driver = racing(("a", 0, "ok", Role.STANDBY), ("b", 0, "ok", Role.PRIMARY))
    driver["a"].lag = 0.0
    wants = Wants(Target.STANDBY, max_lag=60.0)
    async with cluster:
        await until(0.5)
        standing, member = cluster._registry.standing, member_of(cluster, "a")
        assert standing.serves(member, wants, member.observed_at + 3.5) is YES
        assert standing.serves(member, wants, member.observed_at + 3.51) is NO


async def test_without_a_monitor_no_lag_is_known(racing: Racing):
    cluster, driver = racing(("a", 0, "ok", Role.STANDBY), monitor_interval=None)
    driver["a"].lag = 0.0
    async with cluster:
        driver.terminate(await cluster.connect(target="standby"))
        wants = Wants(Target.STANDBY, max_lag=60.0)
        assert cluster._registry.standing.serves(member_of(cluster, "a"), wants, now()) is NO


# -- draining ----------------------------------------------------------------------------------------------------------


async def test_a_draining_node_gets_no_connection_and_is_watched_on(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"), ("b", 0, "ok"))
    async with cluster:
        await until(0.5)
        cluster._registry.drain("a", draining=True)
        assert await nodes_of(cluster) == {"b"}
        started = driver["a"].started
        await until(3.5)
        assert (driver["a"].probes, driver["a"].started) == (4, started)
        assert cluster.stats().nodes["a"].draining
        cluster._registry.drain("a", draining=False)
        assert await nodes_of(cluster) == {"a", "b"}


async def test_when_all_nodes_are_draining_there_is_none(racing: Racing):
    cluster, _ = racing(("a", 0, "ok"))
    cluster._registry.drain("a", draining=True)
    with pytest.raises(NoNodeAvailable, match="is draining all its nodes"):
        await cluster.connect()


async def test_a_login_that_ends_on_a_node_that_is_draining_by_then_is_not_handed_out(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    caller = asyncio.create_task(cluster.connect())
    await asyncio.sleep(0.125)
    cluster._registry.drain("a", draining=True)
    with pytest.raises(AllNodesFailed, match="it is being drained"):
        await caller
