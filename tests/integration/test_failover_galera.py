"""A Galera cluster under load loses the node with most leases, by every kind of death in turn: what its users notice of it.

The story is told once for all tests of a kind of cluster; each test asks its record for one promise.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aioclustersql import Cluster
from tests.integration.load import Gauge, Load, gauge, load, misplaced
from tests.integration.logins import mysql_connected
from tests.integration.scene import Leftovers, leftovers, play
from tests.integration.store import Store, store_of
from tests.integration.support import Galera, until
from tests.servers.galera import GaleraCluster
from tests.servers.galera_node import GaleraNode

pytestmark = [pytest.mark.integration]

FAULTS = {"killed": 1.5, "terminated": 0.5, "isolated": 1.5, "restarted": 0.0, "stopped": 2.0}
"""Each, and for how many seconds the node is gone at least. The stopped one is last: it tells of sessions that were cut off."""


@dataclass(slots=True)
class Act:
    """One death: from its moment until before the node is brought back."""

    node: str
    since: float
    until: float
    stall: float
    slowest: str
    read: float


@dataclass(slots=True)
class Story:
    """What is left of it."""

    load: Load
    acts: dict[str, Act] = field(default_factory=dict)
    found: dict[str, Counter[str]] = field(default_factory=dict)
    left: Leftovers = field(default_factory=Leftovers)


def busiest(cluster: Cluster[Any]) -> str:
    """The node with most leases."""
    nodes = cluster.stats().nodes
    return max(nodes, key=lambda name: nodes[name].leased)


async def all_serve(cluster: Cluster[Any]) -> None:
    """Until every node is up and has a connection of the pool."""

    async def serving() -> bool:
        return all(node.health == "up" and node.idle + node.leased for node in cluster.stats().nodes.values())

    await until(serving, f"not every node serves: {cluster!r}", timeout=15)


def die(node: GaleraNode, fault: str) -> None:
    """What befalls the node. Blocks."""
    if fault == "killed":
        node.kill9()
    elif fault == "stopped":
        node.freeze()
    elif fault == "isolated":
        node.isolate()
    else:
        node.terminate()


def come_back(node: GaleraNode, fault: str) -> None:
    """Undo it. Blocks."""
    if fault == "stopped":
        node.thaw()
        node.wait_synced()
    elif fault == "isolated":
        node.rejoin()
    else:
        node.restart()


async def lose(story: Story, galera: GaleraCluster, fault: str, stay: float) -> None:
    """One node dies, is away for so many seconds at least, and comes back."""
    running, store, loop = story.load, story.load.store, asyncio.get_running_loop()
    await all_serve(running.cluster)
    await asyncio.sleep(0.3)  # so that all tasks are at work
    name = busiest(running.cluster)
    victim = next(node for node in galera.nodes if node.name == name)
    healthy = next(node for node in galera.nodes if node is not victim)

    async with mysql_connected(healthy.dsn(), autocommit=True) as direct, gauge(direct, store) as measured:
        since = loop.time()
        dying = asyncio.create_task(asyncio.to_thread(die, victim, fault))
        await asyncio.sleep(stay)
        await dying
        stop = loop.time()
        story.acts[fault] = sum_up(running, measured, name, since, stop)
        await asyncio.to_thread(come_back, victim, fault)


def sum_up(running: Load, measured: Gauge, name: str, since: float, stop: float) -> Act:
    """What was seen while the node was away."""
    slowest, unit = running.longest("read", since, stop)
    return Act(name, since, stop, measured.stall(since, stop), repr(unit), slowest)


def tell(galera: GaleraCluster, faults: Mapping[str, float]) -> Story:
    """The whole of it: 50 tasks, 20 connections, and one death after another."""
    store: Store = store_of(Galera(galera), "failover")
    store.create()

    async def scene() -> Story:
        async with leftovers(store.engine) as left:
            async with store.cluster(max_total=20) as cluster, load(cluster, store, writers=25, readers=25) as running:
                story = Story(running)
                for fault, stay in faults.items():
                    await lose(story, galera, fault, stay)
                await all_serve(cluster)
            story.left = left
        story.found = await store.found()
        return story

    return play(scene)


@pytest.fixture(scope="module")
def story(galera_cluster: GaleraCluster) -> Iterator[Story]:
    """All deaths, on a cluster that notices one within a second."""
    yield tell(galera_cluster, FAULTS)
    galera_cluster.heal()


def test_no_unit_fails_but_by_an_outcome_that_nobody_knows(story: Story) -> None:
    assert story.load.failed() == []


def test_every_acknowledged_write_is_there_exactly_once_on_all_nodes(story: Story) -> None:
    assert misplaced(story.load.units, story.found) == []


def test_no_read_outlasts_the_stall_of_the_cluster_when_a_node_is_killed(story: Story) -> None:
    act = story.acts["killed"]
    assert act.read <= act.stall + 0.1, act


def test_no_read_waits_longer_than_1800_ms_when_a_node_is_stopped(story: Story) -> None:
    act = story.acts["stopped"]
    assert act.read <= 1.8, act


def test_only_the_stopped_node_tells_of_clients_that_were_cut_off(story: Story) -> None:
    gone = {act.node for act in story.acts.values()}
    assert story.left.complaints(clients_of=[story.acts["stopped"].node], logins_of=gone) == []


@pytest.fixture(scope="module")
def patient_story(galera_turn: None) -> Iterator[Story]:
    """A node is killed in a cluster that takes six seconds to notice, while stalled writers hold the connections."""
    with GaleraCluster((3311, 3312, 3313), default_evs=True) as galera:
        yield tell(galera, {"killed": 8.0})


def test_no_read_outlasts_a_stall_of_seconds_either(patient_story: Story) -> None:
    act = patient_story.acts["killed"]
    assert act.stall > 5.0, "the cluster noticed sooner than it is known to"
    assert act.read <= act.stall + 0.3, act


def test_a_stall_of_seconds_costs_no_unit_and_no_write(patient_story: Story) -> None:
    assert patient_story.load.failed() == []
    assert misplaced(patient_story.load.units, patient_story.found) == []
