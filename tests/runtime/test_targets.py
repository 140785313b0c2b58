"""Which roles serve which target, through logins: memory orders the nodes, and only a login decides."""

from __future__ import annotations

import asyncio

import pytest

from aioclustersql import AllNodesFailed, ConfigError, NodeNotFit
from aioclustersql.events import Event, RoleChanged
from aioclustersql.node import Health, Role
from aioclustersql.testing import FakeDriver

from .conftest import Racing
from .tools import FakeCluster, learn, now

PRIMARY, STANDBY, READ_ONLY, PEER = Role.PRIMARY, Role.STANDBY, Role.READ_ONLY, Role.PEER


def streaming(
    racing: Racing, *, primary: float = 0.25, standby: float = 0.125, **settings: object
) -> tuple[FakeCluster, FakeDriver]:
    """A primary with two standbys that answer sooner."""
    return racing(("p", primary, "ok", PRIMARY), ("s1", standby, "ok", STANDBY), ("s2", standby, "ok", STANDBY), **settings)


async def served_by(cluster: FakeCluster, target: str, connects: int = 30) -> set[str]:
    return {(await cluster.connect(target=target)).server.name for _ in range(connects)}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("read-write", {"p"}),
        ("primary", {"p"}),
        ("standby", {"s1", "s2"}),
        ("prefer-standby", {"s1", "s2"}),
        ("read-only", {"s1", "s2"}),
        ("any", {"p", "s1", "s2"}),
    ],
)
async def test_a_primary_with_standbys_serves_each_target(racing: Racing, target: str, expected: set[str]):
    cluster, _ = streaming(racing, primary=0.125)
    assert await served_by(cluster, target, 60) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [("read-write", {"w"}), ("primary", {"w"}), ("read-only", {"r"}), ("prefer-standby", {"w", "r"})],
)
async def test_a_read_only_node_serves_each_target(racing: Racing, target: str, expected: set[str]):
    cluster, _ = racing(("w", 0.125, "ok", PRIMARY), ("r", 0.125, "ok", READ_ONLY))
    assert await served_by(cluster, target, 60) == expected


@pytest.mark.parametrize("target", ["any", "read-write", "primary", "prefer-standby"])
async def test_equals_serve_all_but_standby_targets(racing: Racing, target: str):
    cluster, _ = racing(*((name, 0.125, "ok") for name in "abc"))
    assert await served_by(cluster, target, 60) == {"a", "b", "c"}


async def test_equals_have_no_standby_and_the_error_says_what_to_ask_for(racing: Racing):
    cluster, _ = racing(*((name, 0.125, "ok") for name in "abc"))
    with pytest.raises(AllNodesFailed, match="prefer-standby") as caught:
        await cluster.connect(target="standby")
    assert {type(error) for error in caught.value.errors.values()} == {NodeNotFit}


async def test_a_lone_primary_is_no_standby_and_the_error_says_what_to_ask_for(racing: Racing):
    cluster, _ = racing(("p", 0.125, "ok", PRIMARY))
    with pytest.raises(AllNodesFailed, match="its role is primary, which is not standby; target='prefer-standby' reads from it"):
        await cluster.connect(target="standby")


async def test_a_lone_primary_serves_prefer_standby(racing: Racing):
    cluster, _ = racing(("p", 0.125, "ok", PRIMARY))
    assert await served_by(cluster, "prefer-standby", 3) == {"p"}
    assert now() == 0.375


@pytest.mark.every_loop
async def test_cold_a_standby_that_answers_soon_after_the_primary_is_preferred(racing: Racing):
    cluster, driver = streaming(racing, primary=0.125, standby=0.25)
    conn = await cluster.connect(target="prefer-standby")
    assert (conn.server.role, now()) == (STANDBY, 0.25)
    await asyncio.sleep(1)
    driver.assert_only_open(conn)


async def test_cold_the_primary_is_taken_when_no_standby_answers_within_a_quarter_of_a_second(racing: Racing):
    cluster, _ = streaming(racing, primary=0.125, standby=5)
    conn = await cluster.connect(target="prefer-standby")
    assert (conn.server.name, now()) == ("p", 0.375)


async def test_the_primary_is_taken_at_the_deadline(racing: Racing):
    cluster, _ = streaming(racing, primary=0.125, standby=5)
    conn = await cluster.connect(target="prefer-standby", timeout=0.25)
    assert (conn.server.name, now()) == ("p", 0.25)


async def test_the_primary_is_taken_at_once_when_the_standbys_have_failed(racing: Racing):
    cluster, driver = streaming(racing, primary=0.25)
    for name in ("s1", "s2"):
        driver[name].outcome = "refused"
    conn = await cluster.connect(target="prefer-standby")
    assert (conn.server.name, now()) == ("p", 0.25)


async def test_warm_the_primary_takes_over_when_all_standbys_are_down(racing: Racing):
    cluster, driver = streaming(racing)
    await learn(cluster, driver, target="any")
    for name in ("s1", "s2"):
        driver[name].kill()
    assert await served_by(cluster, "prefer-standby", 20) == {"p"}


async def test_a_role_that_does_not_fit_is_no_failure_of_the_node(racing: Racing):
    cluster, _ = streaming(racing)
    for _ in range(10):
        await cluster.connect(target="read-write")
    await asyncio.sleep(1)
    for name in ("s1", "s2"):
        node = cluster.stats().nodes[name]
        assert (node.health, node.errors, node.role) == (Health.UP, 0, STANDBY)


async def test_once_the_roles_are_known_a_connect_makes_one_login(racing: Racing):
    cluster, driver = streaming(racing, primary=0.125)
    await learn(cluster, driver, target="any")
    for _ in range(200):
        driver.terminate(await cluster.connect(target="read-write"))
    assert len(driver.starts) <= 210


async def test_read_write_never_gives_a_standby_right_after_a_promotion(racing: Racing):
    cluster, driver = streaming(racing)
    await learn(cluster, driver)
    for _ in range(5):
        driver["p"].role, driver["s1"].role = STANDBY, PRIMARY
        assert await served_by(cluster, "read-write", 10) == {"s1"}
        driver["p"].role, driver["s1"].role = PRIMARY, STANDBY
        assert await served_by(cluster, "read-write", 10) == {"p"}


async def test_standby_never_gives_the_primary_right_after_a_promotion(racing: Racing):
    cluster, driver = streaming(racing)
    await learn(cluster, driver, target="any")
    driver["p"].role, driver["s1"].role = STANDBY, PRIMARY
    assert "s1" not in await served_by(cluster, "standby", 50)


async def test_a_promotion_is_an_event_and_a_log_line(racing: Racing, caplog: pytest.LogCaptureFixture):
    cluster, driver = streaming(racing)
    conn = await cluster.connect(target="standby")
    name = conn.server.name
    events: list[Event] = []
    cluster.subscribe(events.append)
    driver["p"].role, driver[name].role = STANDBY, PRIMARY
    while cluster.stats().nodes[name].role is not PRIMARY:
        await cluster.connect(target="any")
    changes = [(event.old, event.new) for event in events if isinstance(event, RoleChanged) and event.node == name]
    assert changes == [(STANDBY, PRIMARY)]
    assert f"node {name}: role standby -> primary" in caplog.text


async def test_while_there_is_no_primary_the_error_names_every_role(racing: Racing):
    cluster, driver = streaming(racing)
    driver["p"].kill()
    with pytest.raises(AllNodesFailed, match=r"p: ConnectionRefusedError.*; s1: NodeNotFit: its role is standby"):
        await cluster.connect()


async def test_wait_finds_the_new_primary_of_a_failover(racing: Racing):
    cluster, driver = streaming(racing)
    await learn(cluster, driver)
    driver["p"].kill()
    waiting = asyncio.ensure_future(cluster.connect(wait=True, timeout=60))
    await asyncio.sleep(5)
    driver["s2"].role = PRIMARY
    assert (await waiting).server.name == "s2"
    assert cluster.stats().nodes["s2"].role is PRIMARY


async def test_the_clusters_target_is_the_default_and_read_write_its_default(racing: Racing):
    assert streaming(racing)[0].stats().target == "read-write"
    cluster, _ = streaming(racing, target="standby")
    assert await served_by(cluster, "standby", 1) <= {"s1", "s2"}
    assert (await cluster.connect()).server.role is STANDBY


async def test_a_misspelt_target_is_refused_before_anything_runs(racing: Racing):
    cluster, driver = streaming(racing)
    with pytest.raises(ConfigError, match="target 'master' is unknown"):
        cluster.connect(target="master")
    assert driver.starts == []


async def test_reads_do_not_wait_for_standbys_that_have_lost_logins_under_way(racing: Racing):
    cluster, driver = streaming(racing, primary=0.125)
    await learn(cluster, driver, target="prefer-standby")
    driver["s1"].outcome = driver["s2"].outcome = "silent"
    lost = [asyncio.ensure_future(cluster.connect(target="standby")) for _ in range(4)]
    await asyncio.sleep(0.001)
    for task in lost:
        task.cancel()
    await asyncio.gather(*lost, return_exceptions=True)
    assert [cluster.stats().nodes[name].stragglers for name in ("s1", "s2")] == [2, 2]
    began = now()
    driver.terminate(await cluster.connect(target="prefer-standby"))
    assert now() - began == pytest.approx(0.125)


async def test_a_standby_that_was_not_asked_is_asked_at_once_when_another_node_has_answered(racing: Racing):
    cluster, driver = streaming(racing, primary=0.125)
    await learn(cluster, driver, target="prefer-standby")
    driver["s1"].role = driver["s2"].role = PRIMARY
    began = now()
    first = await cluster.connect(target="prefer-standby")  # remembered as standbys, and each tells what it is now
    assert first.server.name in {"s1", "s2"}
    assert [(line.time - began, line.server) for line in driver.trace if line.what == "login"][1][0] == pytest.approx(0.125)
    assert now() - began == pytest.approx(0.25)
