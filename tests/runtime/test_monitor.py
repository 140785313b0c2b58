"""The monitor's rounds: how often it asks, what a healthy answer brings, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from aioclustersql.failure import FailureKind
from aioclustersql.node import Health, Role
from aioclustersql.runtime.findings import Findings
from aioclustersql.testing import FakeDriver, FakeError, FakeServer, Row, run_virtual

from .conftest import Racing
from .monitoring import Diary, all_of, health, member_of, reserved, until
from .tools import cluster_over, now

pytestmark = pytest.mark.every_loop

UP, DOWN = Health.UP, Health.DOWN
THREE: tuple[Row, ...] = (("a", 0, "ok"), ("b", 0, "ok"), ("c", 0, "ok"))


async def test_each_node_is_probed_at_once_and_then_every_interval_on_one_connection(racing: Racing):
    cluster, driver = racing(*THREE)
    async with cluster:
        await asyncio.sleep(3.5)
        assert [server.probes for server in driver] == [4, 4, 4]
        assert [server.started for server in driver] == [1, 1, 1]


async def test_the_interval_counts_from_start_to_start(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    driver["a"].probe_delay = 0.125
    async with cluster:
        await asyncio.sleep(3.5)
        assert driver["a"].probes == 4


async def test_the_interval_is_a_setting(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"), monitor_interval=0.25)
    async with cluster:
        await asyncio.sleep(1.125)
        assert driver["a"].probes == 5


async def test_without_an_interval_there_is_no_monitor(racing: Racing):
    cluster, driver = racing(*THREE, monitor_interval=None)
    async with cluster:
        await asyncio.sleep(3)
        assert driver.starts == []


async def test_a_cluster_that_is_not_open_has_no_monitor(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    driver.terminate(await cluster.connect())
    await asyncio.sleep(3)
    assert (driver["a"].probes, driver["a"].started) == (0, 1)


async def test_every_node_has_one_task_that_tells_its_name(racing: Racing):
    cluster, _ = racing(("a", 0, "ok"), ("b", 0, "ok"), name="shop")
    async with cluster:
        await asyncio.sleep(0.5)
        names = sorted(task.get_name() for task in asyncio.all_tasks() if "monitor" in task.get_name())
        assert names == ["aioclustersql:shop:monitor:a", "aioclustersql:shop:monitor:b"]


async def test_closing_says_goodbye_on_the_reserved_connections(racing: Racing):
    cluster, driver = racing(*THREE)
    async with cluster:
        await asyncio.sleep(0.5)
    assert [(server.goodbyes, server.terminated) for server in driver] == [(1, 0)] * 3
    driver.assert_nothing_open()


async def test_closing_lets_a_login_end_that_is_under_way(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    async with cluster:
        pass
    assert (driver["a"].interrupted, driver["a"].goodbyes) == (0, 1)


async def test_closing_waits_no_longer_than_a_second_for_a_login_that_hangs(racing: Racing):
    cluster, _ = racing(("a", None, "silent"))
    async with cluster:
        await asyncio.sleep(0.25)
    assert asyncio.get_running_loop().time() == 1.25


async def test_closing_takes_no_longer_than_it_may(racing: Racing):
    cluster, driver = racing(("a", None, "silent"), ("b", 0, "ok"))
    driver["b"].close_delay = 60
    await cluster.open()
    await asyncio.sleep(0.25)
    await cluster.close(timeout=0.5)
    assert asyncio.get_running_loop().time() <= 0.75
    driver.assert_nothing_open()


async def test_closing_in_mid_probe_waits_for_its_answer_and_says_goodbye(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    driver["a"].probe_delay = 0.1875
    async with cluster:
        await asyncio.sleep(1.125)
    assert (driver["a"].goodbyes, driver["a"].terminated, now()) == (1, 0, 1.1875)


async def test_closing_in_the_midst_of_a_probe_without_an_answer_ends_after_a_second(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    async with cluster:
        await asyncio.sleep(0.5)
        driver["a"].probe_delay = 60.0
        await asyncio.sleep(0.625)
    assert (driver["a"].goodbyes, driver["a"].terminated, now()) == (0, 1, 2.125)


async def test_a_login_that_bears_witness_is_never_cut_for_another(racing: Racing):
    # Each interrupted handshake counts on MySQL, and a hundred of them block the host.
    cluster, driver = racing(("a", 0, "ok"), ("b", 0, "ok"))
    driver["a"].probe_delay = 0.375
    async with cluster:
        await asyncio.sleep(0.5)
        driver["a"].delay = 2.5
        await until(10.0)
        assert driver["a"].started > 2
        assert cluster.stats().nodes["a"].health == "up"
    assert driver["a"].interrupted == 0


async def test_it_may_be_opened_again(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    for _ in range(2):
        async with cluster:
            await asyncio.sleep(1.5)
    assert (driver["a"].probes, driver["a"].started) == (4, 2)


def test_it_may_be_opened_again_in_another_loop():
    driver = FakeDriver("a")
    cluster = cluster_over(driver)

    async def once() -> None:
        async with cluster:
            await asyncio.sleep(1.5)

    run_virtual(once())
    run_virtual(once())
    assert (driver["a"].probes, driver["a"].started) == (4, 2)
    driver.assert_nothing_open()


async def test_a_node_that_comes_is_watched(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    driver.add("b")
    async with cluster:
        await until(0.5)
        cluster.add_node("b", "fake://app@b/test")
        await until(2.25)
        assert (driver["b"].probes, driver["b"].started) == (2, 1)


async def test_a_node_that_goes_is_watched_no_more(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"), ("b", 0, "ok"))
    async with cluster:
        await until(0.5)
        cluster.remove_node("b")
        await until(3.5)
        assert (driver["b"].probes, driver["b"].goodbyes, driver["b"].open) == (1, 1, 0)


async def test_a_node_that_moves_is_watched_at_its_new_address(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    driver.add(FakeServer("elsewhere", role=Role.PRIMARY))
    async with cluster:
        await until(0.5)
        cluster.update_node("a", "fake://app@elsewhere/test")
        await until(0.75)
        assert (driver["elsewhere"].probes, driver["a"].open) == (1, 0)
        assert cluster.stats().nodes["a"].role is Role.PRIMARY


async def test_the_password_is_asked_for_as_for_any_login(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    driver["a"].password = "secret"

    async def fetch() -> str:
        await asyncio.sleep(0.125)
        return "secret"

    cluster.update_node("a", connect_options={"password": fetch})
    async with cluster:
        await until(0.5)
        assert driver["a"].probes == 1


async def test_what_a_probe_saw_is_in_the_statistics(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    all_of(driver, role=Role.STANDBY, timeline=3, lag=1.5, lag_bytes=4096, ping_delay=0.125)
    before = datetime.now(UTC)
    async with cluster:
        await until(2.5)
        node = cluster.stats().nodes["a"]
    assert (node.role, node.timeline, node.lag, node.lag_bytes, node.degraded) == (Role.STANDBY, 3, 1.5, 4096, False)
    assert node.round_trip == 0.125
    assert node.observed is not None
    assert before <= node.observed <= datetime.now(UTC)


async def test_the_round_trip_is_that_of_a_ping_because_a_probe_asks_for_more_than_a_lease_does(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    driver["a"].probe_delay, driver["a"].ping_delay = 0.25, 0.125
    async with cluster:
        await until(0.5)
        assert cluster.stats().nodes["a"].round_trip == 0.125
        assert driver["a"].pings == driver["a"].probes == 1


async def test_a_node_that_is_not_ready_is_not_pinged(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    driver["a"].ready = False
    async with cluster:
        await until(2)
        assert driver["a"].pings == 0


async def test_a_lost_reserved_connection_is_replaced_at_once_and_is_no_verdict(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].end(reserved(driver["a"]).id, "lost")
        await until(1.0625)
        assert (driver["a"].started, driver["a"].probes) == (2, 2)
    assert diary.health == []


async def test_a_server_that_cuts_every_connection_is_not_hammered_and_is_down_after_three(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    driver["a"].script.extend([(0, "reset")] * 1_000)
    async with cluster:
        await until(2.0625)
    assert diary.health[:1] == [(0.5, "a", DOWN)]
    assert driver["a"].started == 9


async def test_a_session_lost_in_use_is_looked_at_at_once(racing: Racing):
    cluster, driver = racing(*THREE)
    async with cluster:
        await until(0.5)
        member = member_of(cluster, "a")
        cluster._registry.session_lost(member, FailureKind.SESSION_LOST, FakeError(FailureKind.SESSION_LOST, "killed"))
        await until(0.5625)
        assert [server.probes for server in driver] == [2, 1, 1]
        assert cluster.stats().nodes["a"].last_error_message == "FakeError: killed"
    assert health(cluster)["a"] == "up"


async def test_many_sessions_lost_at_once_are_one_probe_more(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    driver["a"].probe_delay = 0.125
    async with cluster:
        await until(0.5)
        for _ in range(50):
            cluster._registry.session_lost(member_of(cluster, "a"), FailureKind.SESSION_LOST, FakeError(FailureKind.SESSION_LOST))
            await asyncio.sleep(0.001)
        await until(0.9)
        assert driver["a"].probes == 3  # the one that was due to it, and one for those that were reported meanwhile


@pytest.mark.parametrize("kind", [FailureKind.ROLLED_BACK, FailureKind.OTHER, FailureKind.IDLE_CLOSED, FailureKind.INTERRUPTED])
async def test_what_says_nothing_of_the_node_asks_for_no_probe(racing: Racing, kind: FailureKind):
    cluster, driver = racing(("a", 0, "ok"))
    async with cluster:
        await until(0.5)
        cluster._registry.session_lost(member_of(cluster, "a"), kind, FakeError(kind))
        await until(0.75)
        assert driver["a"].probes == 1


async def test_a_failure_of_an_older_generation_is_no_news(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    async with cluster:
        await until(0.5)
        member = member_of(cluster, "a")
        error = FakeError(FailureKind.SESSION_LOST)
        member.generation += 1
        cluster._registry.session_lost(member, error.kind, error, generation=member.generation - 1)
        await until(0.75)
        assert (driver["a"].probes, cluster.stats().nodes["a"].errors) == (1, 0)


async def test_a_watch_that_fails_itself_is_logged_and_goes_on(
    racing: Racing, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    cluster, _ = racing(("a", 0, "ok"))
    async with cluster:
        await until(0.5)
        with monkeypatch.context() as patched:
            patched.setattr(Findings, "observed", None)
            await until(1.5)
        await until(3.5)
        assert health(cluster) == {"a": "up"}
        assert member_of(cluster, "a").observed_at > 2.0
    assert "the watch on node a failed, and goes on" in caplog.text


async def test_a_cancelled_watch_leaves_no_connection_open(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    async with cluster:
        await until(0.5)
        (task,) = (task for task in asyncio.all_tasks() if task.get_name().endswith(":monitor:a"))
        task.cancel()
        await until(0.75)
        assert driver["a"].open == 0
