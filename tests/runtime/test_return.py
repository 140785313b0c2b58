"""Nodes that are down, and how they come up: what is asked of them meanwhile, how often, and what alone brings them back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import Any

import pytest

from aioclustersql.events import Interrupted
from aioclustersql.failure import FailureKind
from aioclustersql.node import Health, Role
from aioclustersql.runtime.member import Member
from aioclustersql.testing import FakeConnection, FakeDriver, FakeError, Row

from .conftest import Racing
from .monitoring import Diary, health, member_of, until

pytestmark = pytest.mark.every_loop

UP, DOWN = Health.UP, Health.DOWN
TWO: tuple[Row, ...] = (("a", 0, "ok"), ("b", 0, "ok"))


def logins(driver: FakeDriver, name: str) -> list[float]:
    return [at for at, server in driver.starts if server == name]


async def test_a_refused_login_is_down_at_once(racing: Racing):
    cluster, _ = racing(("a", 0, "refused"), ("b", 0, "ok"))
    diary = Diary(cluster)
    async with cluster:
        await until(0.125)
    assert diary.health == [(0.0, "a", DOWN)]


async def test_a_killed_node_is_down_when_it_is_next_asked_and_nothing_is_interrupted(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].kill()
        await until(1.5)
        assert driver["a"].causal_probes == 0
    assert diary.health == [(1.0, "a", DOWN)]
    assert diary.of(Interrupted) == []


async def test_a_node_that_is_down_is_asked_every_quarter_second_and_after_half_a_minute_every_interval(racing: Racing):
    cluster, driver = racing(("a", 0, "refused"), ("b", 0, "ok"))
    async with cluster:
        await until(33.5)
    assert logins(driver, "a") == [0.25 * turn for turn in range(120)] + [30.75, 31.75, 32.75]


async def test_while_no_node_serves_one_that_is_down_is_asked_every_twentieth_of_a_second_for_five_seconds(racing: Racing):
    cluster, driver = racing(("a", 0, "refused"), ("b", 0, "ok", Role.STANDBY))
    async with cluster:
        await until(6.0)
    assert logins(driver, "a") == pytest.approx([0.05 * turn for turn in range(100)] + [5.2, 5.45, 5.7, 5.95])


async def test_a_node_that_is_back_is_up_with_its_first_answer(racing: Racing):
    cluster, driver = racing(("a", 0, "refused"), ("b", 0, "ok"))
    diary = Diary(cluster)
    async with cluster:
        await until(0.625)
        driver["a"].outcome = "ok"
        await until(1.5)
    assert diary.health == [(0.0, "a", DOWN), (0.75, "a", UP)]


async def test_a_node_that_is_up_serves_leases_and_connects_again(racing: Racing):
    cluster, driver = racing(("a", 0, "refused"), ("b", 0, "ok"))
    async with cluster:
        await until(0.625)
        driver["a"].outcome = "ok"
        await until(1.5)
        nodes = set()
        for _ in range(20):
            async with cluster.connect() as conn:
                nodes.add(conn.server.name)
    assert nodes == {"a", "b"}


async def test_a_silent_node_is_up_the_moment_it_answers_the_login_that_is_pending(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(3.1875)
        driver["a"].thaw()
        await until(3.5)
        assert (driver["a"].interrupted, driver["a"].started) == (0, 2)
    assert diary.health == [(1.5, "a", DOWN), (3.1875, "a", UP)]


async def test_a_login_that_waited_for_a_node_to_come_back_is_no_latency(racing: Racing):
    cluster, driver = racing(("a", 0.125, "ok"), ("b", 0.125, "ok"))
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(5)
        driver["a"].thaw()
        await until(6)
        assert member_of(cluster, "a").latency.samples == 1


async def test_after_a_silence_only_a_causal_probe_brings_a_node_up(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(3)
        driver["a"].causal_delay = 0.25
        driver["a"].thaw()
        await until(3.125)
        assert health(cluster)["a"] == "down"
        await until(4.5)
        assert driver["a"].causal_probes == 1
    assert diary.health == [(1.5, "a", DOWN), (3.25, "a", UP)]


async def test_a_node_that_does_not_catch_up_stays_down_and_is_asked_with_a_new_login_twice_a_second(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(3)
        driver["a"].causal_delay = math.inf
        driver["a"].thaw()
        await until(6)
        driver["a"].causal_delay = None
        await until(8)
        assert 5 <= driver["a"].causal_probes <= 13
        assert driver["a"].interrupted == 0
    assert [(name, new) for _, name, new in diary.health] == [("a", DOWN), ("a", UP)]
    assert 6 <= diary.health[1][0] <= 6.5


async def test_a_node_that_says_it_has_not_caught_up_stays_down(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    probe = driver.probe

    async def times_out(conn: FakeConnection, *, causal: bool) -> Any:
        if causal and asyncio.get_running_loop().time() < 5:
            raise FakeError(FailureKind.LOCK_TIMEOUT, "not in the primary component")
        return await probe(conn, causal=causal)

    driver.probe = times_out  # type: ignore[method-assign]
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(3)
        driver["a"].thaw()
        await until(4)
        assert cluster.stats().nodes["a"].cause == "FakeError: not in the primary component"
        await until(6)
    assert diary.health == [(1.5, "a", DOWN), (5.0, "a", UP)]


async def test_a_login_of_a_caller_does_not_bring_a_silent_node_up(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(3)
        driver["a"].causal_delay = math.inf
        driver["a"].thaw()
        async with cluster.connect(timeout=1) as conn:
            await until(4)
            assert (conn.how_closed, health(cluster)["a"]) == (None, "down")
    assert diary.health == [(2.5, "a", DOWN)]


async def test_one_login_is_pending_on_a_silent_node_renewed_every_five_seconds_and_later_every_thirty(racing: Racing):
    cluster, driver = racing(("a", None, "silent"), ("b", 0, "ok"))
    async with cluster:
        await until(150.5)
        assert driver["a"].max_logins_under_way == 1
    assert logins(driver, "a") == [5.0 * turn for turn in range(13)] + [90.0, 120.0, 150.0]


async def test_a_server_that_blocks_hosts_after_a_hundred_broken_logins_is_not_brought_to_it_in_half_an_hour(racing: Racing):
    cluster, driver = racing(*TWO)
    driver["a"].max_connect_errors = 100
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(1_800)
        driver["a"].thaw()
        await until(1_801)
        assert health(cluster)["a"] == "up"


async def test_a_silent_node_that_then_refuses_is_asked_as_a_refusing_one(racing: Racing):
    cluster, driver = racing(*TWO)
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(3)
        driver["a"].kill()
        await until(3.0625)
        assert "Connect call failed" in str(cluster.stats().nodes["a"].cause) or "reset" in str(cluster.stats().nodes["a"].cause)
        driver["a"].restart()
        await until(3.5)
        assert health(cluster)["a"] == "up"


async def test_a_node_that_says_it_is_not_ready_is_down_with_its_cause(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].ready, driver["a"].cause = False, "it is outside the primary component"
        await until(1.125)
        assert cluster.stats().nodes["a"].cause == "it is outside the primary component"
        driver["a"].ready, driver["a"].cause = True, None
        await until(1.5)
        assert (driver["a"].started, driver["a"].causal_probes) == (1, 0)
    assert diary.health == [(1.0, "a", DOWN), (1.25, "a", UP)]


async def test_a_degraded_node_is_up_at_the_end_of_the_order_and_says_why(racing: Racing):
    cluster, driver = racing(*TWO)
    async with cluster:
        driver["a"].degraded, driver["a"].cause = True, "it is a donor"
        await until(1.5)
        node = cluster.stats().nodes["a"]
        assert (node.health, node.degraded, node.cause) == (UP, True, "it is a donor")
        for _ in range(10):
            async with cluster.connect() as conn:
                assert conn.server.name == "b"
        driver["b"].kill()
        async with cluster.connect() as conn:
            assert conn.server.name == "a"


async def test_a_node_degraded_no_more_is_chosen_again(racing: Racing):
    cluster, driver = racing(*TWO)
    async with cluster:
        driver["a"].degraded = True
        await until(1.5)
        driver["a"].degraded = False
        await until(2.5)
        nodes = set()
        for _ in range(20):
            async with cluster.connect() as conn:
                nodes.add(conn.server.name)
    assert nodes == {"a", "b"}


async def test_a_full_server_is_up_and_asked_again_every_second(racing: Racing):
    cluster, driver = racing(("a", 0, "overloaded"), ("b", 0, "ok"))
    diary = Diary(cluster)
    async with cluster:
        await until(3.5)
    assert diary.health == []
    assert logins(driver, "a") == [0.0, 1.0, 2.0, 3.0]


async def test_a_wrong_password_is_no_fault_of_the_node_and_is_not_hammered(racing: Racing):
    cluster, driver = racing(("a", 0, "wrong-password"), ("b", 0, "ok"))
    diary = Diary(cluster)
    async with cluster:
        await until(11)
        assert cluster.stats().nodes["a"].last_error_message == "FakeError: access denied on a: wrong password"
    assert diary.health == []
    assert logins(driver, "a") == [0.0, 5.0, 10.0]


async def test_a_probe_that_the_server_refuses_for_a_strange_reason_says_that_it_is_up(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)

    async def refuses(conn: FakeConnection, *, causal: bool) -> Any:
        raise FakeError(FailureKind.OTHER, "no right to look")

    driver.probe = refuses  # type: ignore[method-assign]
    async with cluster:
        await until(2.5)
        assert cluster.stats().nodes["a"].last_error_message == "FakeError: no right to look"
    assert (diary.health, driver["a"].started) == ([], 1)


class Hooked:
    """A pool that takes notes."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.lines: list[tuple[str, str, int, bool]] = []

    def changed(self, member: Member[FakeConnection]) -> None:
        self.pool.changed(member)

    def lost(self, member: Member[FakeConnection], cause: str, *, silent: bool) -> None:
        self.lines.append((member.name, cause, member.generation, silent))
        self.pool.lost(member, cause, silent=silent)

    def connections(self, member: Member[FakeConnection]) -> Iterable[FakeConnection]:
        return list(self.pool.connections(member))


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("freeze", ("a", "no answer to a probe and a login within 0.5 s", 1, True)),
        ("kill", ("a", "ConnectionRefusedError: [Errno 111] Connect call failed (a)", 1, False)),
    ],
)
async def test_the_pool_is_told_once_that_a_node_is_lost_and_its_generation_has_grown(
    racing: Racing, what: str, told: tuple[str, str, int, bool]
):
    cluster, driver = racing(*TWO)
    async with cluster:
        await until(0.5)
        hooked = Hooked(cluster._registry.hooks)
        cluster._registry.hooks = hooked
        getattr(driver["a"], what)()
        await until(9)
        cluster._registry.hooks = hooked.pool
    assert hooked.lines == [told]


async def test_a_node_found_down_and_then_silent_is_told_twice(racing: Racing):
    cluster, driver = racing(*TWO)
    async with cluster:
        await until(0.5)
        hooked = Hooked(cluster._registry.hooks)
        cluster._registry.hooks = hooked
        driver["a"].ready = False
        await until(1.5)
        driver["a"].freeze()
        await until(4)
        cluster._registry.hooks = hooked.pool
        assert member_of(cluster, "a").generation == 2
    assert [(name, silent) for name, _, _, silent in hooked.lines] == [("a", False), ("a", True)]
