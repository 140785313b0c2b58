"""What can be seen from outside: statistics, events, reprs, log lines."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from aioclustersql import AllNodesFailed
from aioclustersql.events import Connected, ConnectFailed, Event, HealthChanged, LoginFailed, LoginSucceeded, NodeAdded
from aioclustersql.node import Health, Role

from .conftest import Racing
from .tools import learn, names_of


async def test_a_new_cluster_has_empty_statistics(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    node = cluster.stats().nodes["a"]
    assert (node.health, node.role, node.logins, node.wins, node.errors, node.latency) == (Health.UP, Role.UNKNOWN, 0, 0, 0, None)
    assert (node.last_success, node.last_error, node.last_error_message) == (None, None, None)


async def test_what_happened_is_counted_by_node(racing: Racing):
    cluster, _ = racing(("best", 0.25, "ok"), ("late", 0.5, "ok"), ("bad", 0.125, "refused"))
    await cluster.connect()
    await asyncio.sleep(1)
    counted = {
        name: (node.logins, node.connections, node.wins, node.losses, node.errors, node.open)
        for name, node in cluster.stats().nodes.items()
    }
    assert counted == {"best": (1, 1, 1, 0, 0, 1), "late": (1, 0, 0, 1, 0, 0), "bad": (1, 0, 0, 0, 1, 0)}


async def test_the_last_error_and_the_last_success_are_kept(racing: Racing):
    cluster, driver = racing(("a", 0.25, "overloaded"))
    before = datetime.now(UTC)
    with pytest.raises(AllNodesFailed):
        await cluster.connect()
    driver["a"].outcome = "ok"
    await cluster.connect()
    node = cluster.stats().nodes["a"]
    assert node.last_error is not None
    assert node.last_success is not None
    assert before <= node.last_error <= node.last_success
    assert node.last_error_message == "FakeError: a has too many connections"


async def test_percentiles_are_shown_once_there_are_enough_logins(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    driver.terminate(await cluster.connect())
    assert (cluster.stats().nodes["a"].p50, cluster.stats().nodes["a"].p95) == (None, None)
    await learn(cluster, driver)
    node = cluster.stats().nodes["a"]
    assert (node.latency, node.p50, node.p95) == pytest.approx((0.25, 0.25, 0.25))


async def test_the_cause_of_a_node_that_is_down_is_told(racing: Racing):
    cluster, _ = racing(("a", 0, "refused"), ("b", 0.25, "ok"))
    await cluster.connect()
    node = cluster.stats().nodes["a"]
    assert (node.health, node.cause) == (Health.DOWN, "ConnectionRefusedError: [Errno 111] Connect call failed (a)")


async def test_statistics_are_frozen(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    stats: Any = cluster.stats()
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.name = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.nodes["a"].wins = 7
    with pytest.raises(TypeError):
        stats.nodes["b"] = None
    await cluster.connect()
    assert stats.nodes["a"].wins == 0


async def test_statistics_are_plain_values_for_json(racing: Racing):
    cluster, _ = racing(("b", 0.25, "ok"), ("a", 0, "refused"), name="shop", target="any")
    await cluster.connect()
    shown = json.loads(json.dumps(cluster.stats().as_dict(), allow_nan=False))
    assert (shown["name"], shown["driver"], shown["target"], shown["open"]) == ("shop", "fake", "any", False)
    assert list(shown["nodes"]) == ["a", "b"]
    assert (shown["nodes"]["b"]["health"], shown["nodes"]["b"]["wins"], shown["nodes"]["a"]["health"]) == ("up", 1, "down")
    assert datetime.fromisoformat(shown["nodes"]["b"]["last_success"]).tzinfo is not None


async def test_the_repr_shows_the_state_of_each_node(racing: Racing):
    cluster, _ = racing(("b", 0.25, "ok"), ("a", 0, "refused"), name="shop")
    assert repr(cluster) == "<Cluster 'shop' (fake, not open): a up, b up>"
    async with cluster:
        await cluster.connect()
        assert repr(cluster) == "<Cluster 'shop' (fake, open): a down, b up>"


async def test_a_connect_is_told_in_order(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.125, "refused"))
    events: list[Event] = []
    cluster.subscribe(events.append)
    await cluster.connect()
    assert names_of(events) == [
        "LoginStarted",
        "LoginStarted",
        "LoginFailed",
        "HealthChanged",
        "LoginSucceeded",
        "RoleChanged",
        "Connected",
    ]
    failed, changed, succeeded, connected = events[2], events[3], events[4], events[6]
    assert isinstance(failed, LoginFailed)
    assert isinstance(changed, HealthChanged)
    assert isinstance(succeeded, LoginSucceeded)
    assert isinstance(connected, Connected)
    assert (failed.node, failed.seconds, changed.new) == ("b", 0.125, Health.DOWN)
    assert (succeeded.node, succeeded.seconds, succeeded.lost) == ("a", 0.25, False)
    assert (connected.node, connected.seconds, connected.logins, connected.cluster) == ("a", 0.25, 2, "cluster")
    assert connected.at.tzinfo is UTC


async def test_the_events_of_a_connect_bear_its_number(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.5, "ok"), stagger=0)
    events: list[Any] = []
    cluster.subscribe(events.append)
    await cluster.connect()
    await cluster.connect()
    await asyncio.sleep(1)
    told: dict[int | None, list[str]] = {}
    for event in events:
        if hasattr(event, "connect"):
            told.setdefault(event.connect, []).append(type(event).__name__)
    one = ["LoginStarted", "LoginStarted", "LoginSucceeded", "Connected", "LoginSucceeded"]
    assert told == {1: one, 2: one}


async def test_a_connect_that_fails_is_told(racing: Racing):
    cluster, _ = racing(("a", 0.25, "wrong-password"))
    events: list[Event] = []
    cluster.subscribe(events.append)
    with pytest.raises(AllNodesFailed) as caught:
        await cluster.connect()
    last = events[-1]
    assert isinstance(last, ConnectFailed)
    assert (last.seconds, last.error) == (0.25, str(caught.value))


async def test_nodes_that_come_and_go_are_told(racing: Racing):
    cluster, _ = racing()
    events: list[Event] = []
    cluster.subscribe(events.append)
    cluster.add_node("a", "fake://app@a/test")
    cluster.update_node("a", weight=2)
    cluster.remove_node("a")
    assert names_of(events) == ["NodeAdded", "NodeUpdated", "NodeRemoved"]
    assert isinstance(events[0], NodeAdded)
    assert events[0].node == "a"


async def test_a_listener_that_raises_is_logged_and_disturbs_nobody(racing: Racing, caplog: pytest.LogCaptureFixture):
    cluster, _ = racing(("a", 0.25, "ok"))
    events: list[Event] = []

    def broken(event: Event) -> None:
        raise LookupError("mine")

    cluster.subscribe(broken)
    cluster.subscribe(events.append)
    await cluster.connect()
    assert names_of(events)[-1] == "Connected"
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "a listener failed on Connected" in caplog.text
    assert len(logged) == len(events)


async def test_unsubscribing_ends_it_and_twice_does_no_harm(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    events: list[Event] = []
    end, again = cluster.subscribe(events.append), cluster.subscribe(events.append)
    end()
    end()
    cluster.add_node("b", "fake://app@a/test")
    assert len(events) == 1
    again()
    cluster.remove_node("b")
    assert len(events) == 1


async def test_a_listener_may_unsubscribe_itself_while_it_is_called(racing: Racing):
    cluster, _ = racing()
    events: list[Event] = []

    def once(event: Event) -> None:
        events.append(event)
        end()

    end = cluster.subscribe(once)
    cluster.add_node("a", "fake://app@a/test")
    cluster.remove_node("a")
    assert names_of(events) == ["NodeAdded"]


async def test_no_handler_is_installed_and_a_healthy_connect_logs_nothing(racing: Racing, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.5, "ok"))
    await cluster.connect()
    await asyncio.sleep(1)
    assert logging.getLogger("aioclustersql").handlers == []
    assert [record for record in caplog.records if record.name.startswith("aioclustersql")] == []
