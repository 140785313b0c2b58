"""What is not a dead node, and may interrupt nobody: our own blocked loop, a slow node, a lost network, one killed session.

Both engines are under load side by side, each node behind a proxy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from aioclustersql import Cluster, drivers
from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.events import HealthChanged, Interrupted
from aioclustersql.failure import FailureKind
from aioclustersql.node import Health
from chaos.clients.ours import Acquire, Run
from chaos.leftovers import Leftovers, leftovers
from chaos.load import Load, load
from chaos.store import Store, store_of
from tests.integration.support import Engine, Galera, Postgres, between, until, watch
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster
from tests.servers.proxy import Mode, Proxy

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]


DRIVERS = {Galera: "aiomysql", Postgres: "asyncpg"}


@dataclass(slots=True)
class Scene:
    """One engine under load, and what was heard of alarms."""

    engine: Engine
    store: Store
    cluster: Cluster[Any]
    loads: list[Load]
    proxies: dict[str, Proxy]
    left: Leftovers
    interrupted: list[Interrupted]
    health: list[HealthChanged]
    cut: list[str] = field(default_factory=list)
    """The nodes on which a session was cut off, by an administrator or because a newer one had answered sooner."""

    @property
    def down(self) -> list[HealthChanged]:
        """Every time that a node was taken for dead."""
        return [event for event in self.health if event.new is Health.DOWN]


@pytest.fixture
async def scenes(galera: GaleraCluster, postgres: PostgresCluster, proxy: MakeProxy) -> AsyncIterator[list[Scene]]:
    """Both engines under load until the end of the test; then no unit has failed, and nothing is left."""
    told: list[Scene] = []
    async with AsyncExitStack() as stack:
        for engine in (Galera(galera), Postgres(postgres)):
            store = store_of(engine, "alarm")
            await asyncio.to_thread(store.create)
            left = await stack.enter_async_context(leftovers(engine))
            proxies = {node.name: await between(engine, proxy, node) for node in engine.nodes}
            ports = {name: each.port for name, each in proxies.items()}
            cluster = await stack.enter_async_context(store.cluster(ports=ports, target="read-write", max_size=5))
            interrupted, health = watch(cluster, Interrupted), watch(cluster, HealthChanged)
            units = load(Run(engine.name).use(cluster, store.name), writers=3, readers=3, pause=0.05)
            leases = load(Acquire(engine.name).use(cluster, store.name), readers=6, pause=0.05)
            loads = [await stack.enter_async_context(each) for each in (units, leases)]
            told.append(Scene(engine, store, cluster, loads, proxies, left, interrupted, health))
        for scene in told:
            await in_use(scene)
        yield told
    for scene in told:
        assert scene.left.complaints(clients_of=scene.cut) == []


async def in_use(scene: Scene) -> None:
    """Until every node is watched and has a connection of the pool."""

    async def used() -> bool:
        return all(node.observed and node.idle + node.leased for node in scene.cluster.stats().nodes.values())

    await until(used, f"not every node is used: {scene.cluster!r}")


async def everywhere(scenes: list[Scene], mode: Mode, delay: float | None = None) -> None:
    """All proxies behave like this."""
    for scene in scenes:
        for each in scene.proxies.values():
            await each.set_mode(mode, delay)


def slow(scene: Scene) -> str:
    """The node that is to be slow: no primary."""
    return scene.engine.nodes[-1].name  # type: ignore[no-any-return]


async def leases_on(scene: Scene, name: str, count: int) -> list[Any]:
    """So many leases on this node."""
    reader = scene.cluster.with_options(target=scene.engine.any_node)
    held: list[Any] = []
    others: list[Any] = []  # kept until the end, so that the choice falls on the others' nodes less and less
    while len(held) < count:
        conn = await reader.acquire()
        (held if scene.cluster.node_of(conn) == name else others).append(conn)
    for conn in others:
        await reader.release(conn)
    return held


def alarms(scenes: list[Scene]) -> list[object]:
    """What went wrong, with either engine."""
    heard = [event for scene in scenes for event in (*scene.interrupted, *scene.down)]
    units = [unit for scene in scenes for load in scene.loads for unit in load.units]
    return [*heard, *(unit for unit in units if unit.error is not None)]


async def test_a_blocked_loop_interrupts_nobody(scenes: list[Scene]) -> None:
    time.sleep(2)  # noqa: ASYNC251 - the user's code that blocks
    await asyncio.sleep(0.5)
    assert alarms(scenes) == []


async def test_a_loop_that_blocks_again_and_again_interrupts_nobody(scenes: list[Scene]) -> None:
    for gap in (0.05, 0.2, 0.5, 0.1):
        time.sleep(0.7)  # noqa: ASYNC251 - the user's code that blocks
        await asyncio.sleep(gap)
    assert alarms(scenes) == []


async def test_a_node_that_answers_slowly_is_not_silent(scenes: list[Scene]) -> None:
    for scene in scenes:
        await scene.proxies[slow(scene)].set_mode("delay", 0.2)  # a probe is just in time, a login is not
    await asyncio.sleep(2)
    assert alarms(scenes) == []
    await everywhere(scenes, "ok")


async def test_what_any_user_hears_of_a_node_proves_that_it_lives(scenes: list[Scene]) -> None:
    held = [[(scene, conn) for conn in await leases_on(scene, slow(scene), 3)] for scene in scenes]
    until = asyncio.get_running_loop().time() + 2.5

    async def talk(scene: Scene, conn: Any) -> None:
        while asyncio.get_running_loop().time() < until:
            await scene.store.read(conn)
        await scene.cluster.release(conn)

    async with asyncio.TaskGroup() as group:
        for delay, *talking in zip((0.1, 0.2, 0.3), *held, strict=True):  # at last a probe takes longer than monitor_timeout
            for scene, conn in talking:
                scene.cut.append(slow(scene))
                await scene.proxies[slow(scene)].set_mode("delay", delay)
                group.create_task(talk(scene, conn))
            await asyncio.sleep(0.2)
    assert alarms(scenes) == []
    await everywhere(scenes, "ok")


async def test_when_all_nodes_are_silent_for_a_second_nobody_is_interrupted(scenes: list[Scene]) -> None:
    await everywhere(scenes, "hang")
    await asyncio.sleep(1)
    await everywhere(scenes, "ok")
    await asyncio.sleep(0.5)
    assert alarms(scenes) == []


async def test_one_killed_session_costs_its_own_user_alone(scenes: list[Scene]) -> None:
    for scene in scenes:
        with pytest.raises(Exception) as caught:
            async with scene.cluster.acquire() as conn:
                await kill(scene, conn)
                await scene.store.read(conn)
        assert drivers.by_name(DRIVERS[type(scene.engine)]).classify(caught.value) in (
            FailureKind.SESSION_LOST,
            FailureKind.FOUND_CLOSED,
        )
        assert any("on node" in note for note in caught.value.__notes__)
    await asyncio.sleep(0.5)
    assert alarms(scenes) == []


async def kill(scene: Scene, conn: Any) -> None:
    """As an administrator."""
    name = scene.cluster.node_of(conn)
    scene.cut.append(name)
    node = next(node for node in scene.engine.nodes if node.name == name)
    if isinstance(scene.engine, Galera):
        await asyncio.to_thread(node.sql, f"KILL CONNECTION {conn.thread_id()}")
    else:
        await asyncio.to_thread(node.sql, f"select pg_terminate_backend({conn.get_server_pid()})", database="template1")
