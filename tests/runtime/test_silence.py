"""A node that answers nothing: the two witnesses, the proofs of life, and the faults that are our own.

With the usual settings a node is asked at 0, 1, 2, ...; the witness is called 0.25 s later, and the verdict is due after 0.5 s.
"""

from __future__ import annotations

import asyncio
import math

import pytest

from aioclustersql.events import HealthChanged, Interrupted
from aioclustersql.node import Health
from aioclustersql.testing import FakeError, Row

from .conftest import Racing
from .monitoring import Diary, all_of, block, health, member_of, reserved, until
from .tools import start

pytestmark = pytest.mark.every_loop

UP, DOWN = Health.UP, Health.DOWN
THREE: tuple[Row, ...] = (("a", 0, "ok"), ("b", 0, "ok"), ("c", 0, "ok"))
TWO: tuple[Row, ...] = (("a", 0, "ok"), ("b", 0, "ok"))
SILENT = "no answer to a probe and a login within 0.5 s"


async def test_a_frozen_node_among_healthy_ones_is_down_within_interval_and_timeout(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    async with cluster:
        await until(0.0625)
        driver["a"].freeze()
        await until(3)
    assert diary.health == [(1.5, "a", DOWN)]
    assert diary.of(HealthChanged)[0][1].cause == SILENT


async def test_it_is_so_however_rarely_the_others_are_asked(racing: Racing):
    cluster, driver = racing(*THREE, monitor_interval=10.0)
    diary = Diary(cluster)
    async with cluster:
        await until(1)
        driver["a"].freeze()
        await until(12)
    assert diary.health == [(10.5, "a", DOWN)]


async def test_a_lost_session_brings_the_verdict_sooner(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    async with cluster:
        await until(0.25)
        driver["a"].freeze()
        cluster._registry.watcher.look_at(member_of(cluster, "a"))
        await until(0.9)
    assert diary.health == [(0.75, "a", DOWN)]


async def test_what_connect_handed_out_there_is_closed_and_says_why(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        conns = [await cluster.connect() for _ in range(4)]
        here = [conn for conn in conns if conn.server.name == "a"]
        driver["a"].query_delay = math.inf
        query = asyncio.create_task(here[0].execute("SELECT 1"))
        await until(0.5)
        driver["a"].freeze()
        with pytest.raises(FakeError):
            await query
        assert [conn.how_closed for conn in conns if conn not in here] == [None] * (4 - len(here))
        reason = f"this connection to node 'a' was closed by the cluster: the node was found silent: {SILENT}"
        assert [cluster._registry.interruptions.reason(conn) for conn in conns if conn in here] == [reason] * len(here)
    ((at, event),) = diary.of(Interrupted)
    assert (at, event.node, event.connections) == (1.5, "a", len(here))


async def test_nobody_waits_for_a_goodbye_to_a_silent_node(racing: Racing):
    cluster, driver = racing(*TWO)
    async with cluster:
        await until(0.0625)
        conns = [await cluster.connect() for _ in range(4)]
        conn = next(conn for conn in conns if conn.server.name == "a")
        driver["a"].freeze()
        await cluster._end_connection(conn, None)
        assert (asyncio.get_running_loop().time(), conn.how_closed) == (1.5, "terminated")


async def test_a_connection_that_may_not_be_interrupted_is_spared(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"), ("b", None, "refused"))
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        conn = await cluster.connect(interrupt=False)
        driver["b"].outcome = "ok"
        await until(2)
        driver["a"].freeze()
        await until(4)
        assert (conn.how_closed, health(cluster)["a"]) == (None, "down")
    assert diary.of(Interrupted) == []


async def test_logins_of_callers_there_are_ended(racing: Racing):
    cluster, driver = racing(*TWO)
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(1.4375)
        callers = [start(cluster, timeout=5) for _ in range(2)]
        await until(1.5625)
        assert driver["a"].logins_under_way == 1  # the monitor's own
        for caller in callers:
            assert (await caller).server.name == "b"


async def test_every_node_silent_for_a_second_is_nobodys_fault(racing: Racing):
    for began in (0.0, 0.0625, 0.5, 0.9375):
        cluster, driver = racing(*THREE)
        diary = Diary(cluster)
        offset = asyncio.get_running_loop().time()
        async with cluster:
            conns = [await cluster.connect() for _ in range(3)]
            await until(offset + 1 + began)
            for server in driver:
                server.freeze()
            await asyncio.sleep(1)
            for server in driver:
                server.thaw()
            await asyncio.sleep(3)
            assert [conn.how_closed for conn in conns] == [None] * 3
        assert (diary.health, diary.of(Interrupted)) == ([], [])


async def test_silence_that_begins_in_mid_probe_is_nobodys_fault_either(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    for delay, server in zip((0.0, 0.1, 0.2), driver, strict=True):
        server.probe_delay = delay
    async with cluster:
        await until(2.05)
        for server in driver:
            server.freeze()
        await asyncio.sleep(1)
        for server in driver:
            server.thaw()
        await until(6)
    assert diary.health == []


async def test_every_node_silent_for_good_is_found_down_after_a_time_twice_as_long(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        for server in driver:
            server.freeze()
        await until(4)
    assert sorted(diary.health) == [(2.5, name, DOWN) for name in "abc"]


async def test_the_one_node_of_a_cluster_is_found_down_after_a_time_twice_as_long(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(4)
    assert diary.health == [(2.5, "a", DOWN)]


async def test_a_refusal_by_another_node_is_a_sign_that_we_are_not_to_blame(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["b"].kill()
        await until(1.5)
        driver["a"].freeze()
        await until(2.9)
    # The last usable node is asked every 0.05 s, because another has just gone down.
    assert [(name, new) for _, name, new in diary.health] == [("b", DOWN), ("a", DOWN)]
    assert diary.health[1][0] <= 2.05


async def test_a_login_that_succeeds_is_a_proof_of_life_and_replaces_the_reserved_connection(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        old = reserved(driver["a"])
        driver["a"].probe_delay = math.inf
        await until(1.4)
        driver["a"].probe_delay = None
        await until(3)
        assert old.how_closed == "terminated"
        assert (reserved(driver["a"]).closed, driver["a"].started) == (False, 2)
    assert diary.health == []


async def test_bytes_on_any_connection_of_ours_are_a_proof_of_life(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        conn = next(conn for conn in [await cluster.connect() for _ in range(2)] if conn.server.name == "a")
        driver["a"].probe_delay, driver["a"].outcome = math.inf, "silent"
        while asyncio.get_running_loop().time() < 10:
            await conn.execute("SELECT 1")
            await asyncio.sleep(0.125)
        assert conn.how_closed is None
    assert diary.health == []


async def test_when_the_bytes_end_too_the_node_is_down(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        conn = next(conn for conn in [await cluster.connect() for _ in range(2)] if conn.server.name == "a")
        driver["a"].probe_delay, driver["a"].outcome = math.inf, "silent"
        await until(1.25)
        await conn.execute("SELECT 1")
        await until(3)
    assert diary.health == [(2.0, "a", DOWN)]


async def test_bytes_on_a_lease_are_a_proof_of_life(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"), ("b", 0, "refused"))
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        async with cluster.acquire() as conn:
            driver["b"].outcome = "ok"
            await until(2)
            driver["a"].probe_delay, driver["a"].outcome = math.inf, "silent"
            while asyncio.get_running_loop().time() < 10:
                await conn.execute("SELECT 1")
                await asyncio.sleep(0.125)
            assert conn.how_closed is None
        assert health(cluster)["a"] == "up"
    assert [name for _, name, _ in diary.health] == ["b", "b"]


async def test_a_slow_answer_is_an_answer_and_its_witness_says_goodbye(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    driver["a"].probe_delay = 0.4375
    async with cluster:
        await until(3.5)
        assert (driver["a"].started, driver["a"].goodbyes) == (5, 4)
        assert (driver["a"].interrupted, driver["a"].terminated) == (0, 0)
    assert diary.health == []


async def test_a_blocked_loop_voids_the_verdict(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    async with cluster:
        conns = [await cluster.connect() for _ in range(3)]
        for blocked_at in (0.0, 1.125, 1.375):
            await until(2 * math.ceil(asyncio.get_running_loop().time() / 2) + blocked_at)
            for server in driver:
                server.freeze()
            await asyncio.sleep(0.0625)
            block(2)
            for server in driver:  # what they had answered long since is read only now
                asyncio.get_running_loop().call_later(0.001, server.thaw)
            await asyncio.sleep(3)
        assert [conn.how_closed for conn in conns] == [None] * 3
    assert diary.health == []


async def test_a_loop_that_is_blocked_again_and_again_finds_nobody_down(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    all_of(driver, probe_delay=0.001, delay=0.001)
    async with cluster:
        conn = await cluster.connect()
        for _ in range(50):
            await asyncio.sleep(0.03)
            block(2)
        assert conn.how_closed is None
    assert diary.health == []


async def test_a_node_that_is_frozen_while_the_loop_is_blocked_now_and_then_is_found_all_the_same(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].freeze()
        await until(1.375)
        block(2)
        await until(8)
    assert diary.health == [(3.875, "a", DOWN)]


async def test_a_password_that_does_not_come_is_no_silence(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)

    async def fetch() -> str:
        await asyncio.sleep(5)
        return "secret"

    cluster.update_node("a", connect_options={"password": fetch})
    async with cluster:
        await until(6)
        assert driver["a"].probes > 0
    assert diary.health == []


async def test_a_node_silent_from_the_beginning_has_twice_the_time_for_the_login(racing: Racing):
    cluster, _ = racing(("a", None, "silent"), ("b", 0, "ok"))
    diary = Diary(cluster)
    async with cluster:
        await until(3)
        assert cluster.stats().nodes["a"].cause == "no answer to a login within 1 s"
    assert diary.health == [(1.0, "a", DOWN)]


async def test_logins_that_callers_lose_by_time_open_no_breaker_that_the_monitor_watches(racing: Racing):
    cluster, driver = racing(*TWO)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].script.extend([(None, "silent")] * 3)
        for _ in range(12):
            driver.terminate(await cluster.connect(timeout=3))
        await until(5)
    assert DOWN not in [new for _, _, new in diary.health]


async def test_a_slow_answer_that_comes_after_a_login_has_succeeded_costs_no_session(racing: Racing):
    cluster, driver = racing(*THREE)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        old = reserved(driver["a"])
        driver["a"].probe_delay = 0.8  # the login answers within the first half second, the probe in the second
        await until(4)
        driver["a"].probe_delay = None
        await until(6)
        assert (old.how_closed, driver["a"].interrupted, driver["a"].terminated) == (None, 0, 0)
    assert diary.health == []
