"""Any sequence of faults: only who is at fault is found down, and all is well again, with nothing left, after they heal."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from aioclustersql.events import HealthChanged, Interrupted
from aioclustersql.node import Health
from aioclustersql.testing import FakeDriver, FakeServer, run_virtual

from .monitoring import Diary, block, member_of
from .tools import FakeCluster, cluster_over

NAMES = ("a", "b", "c")
FAULTS = ("freeze", "kill", "not ready", "degraded", "slow", "cut", "block", "none")


async def begin(cluster: FakeCluster, driver: FakeDriver, name: str, fault: str) -> None:
    """Let something befall a server; a blocked loop is nobody's fault."""
    server = driver[name]
    if fault == "freeze":
        server.freeze()
    elif fault == "kill":
        server.kill()
    elif fault == "not ready":
        server.ready = False
    elif fault == "degraded":
        server.degraded = True
    elif fault == "slow":
        server.probe_delay, server.delay = 0.2, 0.2
    elif fault == "cut":
        for conn in server.connections:
            server.end(conn.id, "lost")
    elif fault == "block" and not server.frozen:
        await blocked(cluster, server)


async def blocked(cluster: FakeCluster, server: FakeServer) -> None:
    """A server takes its time to answer a probe, and when it does our loop is blocked: the answer is read too late."""
    server.freeze()
    cluster._registry.watcher.look_at(member_of(cluster, server.name))
    await asyncio.sleep(0.3)
    block(1.7)
    asyncio.get_running_loop().call_later(0.005, server.thaw)


def heal(driver: FakeDriver) -> None:
    for server in driver:
        server.thaw()
        if server.dead:
            server.restart()
        server.ready, server.degraded, server.probe_delay, server.delay = True, False, 0.001, 0.001


faults = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(FAULTS), st.floats(0.0, 3.0)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(faults)
def test_whatever_happens_only_who_is_at_fault_is_found_down_and_all_heals(happenings: list[tuple[str, str, float]]):
    driver = FakeDriver(*NAMES)
    heal(driver)
    cluster = cluster_over(driver)
    at_fault: set[str] = set()

    async def live() -> None:
        diary = Diary(cluster)
        async with cluster:
            await asyncio.sleep(0.5)
            for name, fault, pause in happenings:
                await begin(cluster, driver, name, fault)
                if fault in ("freeze", "kill", "not ready"):
                    at_fault.add(name)
                await asyncio.sleep(pause)
                found = {event.node for _, event in diary.of(HealthChanged) if event.new is Health.DOWN}
                assert found <= at_fault
            heal(driver)
            await asyncio.sleep(7)
            stats = cluster.stats().nodes
            assert {name: node.health for name, node in stats.items()} == dict.fromkeys(NAMES, Health.UP)
            assert diary.of(Interrupted) == []  # nobody held a connection
            before = [server.probes for server in driver]
            await asyncio.sleep(3)
            assert [server.probes - count for server, count in zip(driver, before, strict=True)] == [3, 3, 3]
            assert [server.open for server in driver] == [1, 1, 1]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtual(live())
    driver.assert_nothing_open()
