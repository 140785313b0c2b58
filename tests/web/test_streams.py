"""Server-sent events: what is told, to whom, for how long, and what it costs when nobody listens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aioclustersql import Cluster
from aioclustersql.observe.web import status_app
from aioclustersql.testing import FakeDriver

from ..runtime.tools import FakeCluster
from .asgi import Client


def listeners(cluster: Cluster[Any]) -> int:
    return len(cluster._registry.bus.listeners)


async def test_the_state_comes_at_once_and_then_every_second(cluster: FakeCluster):
    client = Client(status_app(cluster), "/events")
    await asyncio.sleep(2.5)
    frames = client.of("stats")
    assert client.status == 200
    assert len(frames) in (3, 4)
    assert frames[0][0]["name"] == "shop"
    assert frames[0][0]["ready"] is True
    await client.leave()


async def test_a_node_that_goes_down_is_told_at_once_with_its_new_state(cluster: FakeCluster, driver: FakeDriver):
    client = Client(status_app(cluster, interval=60), "/events")
    await asyncio.sleep(1)
    driver["b"].kill()
    await asyncio.sleep(2)
    (line,) = (line for line in client.of("event") if line["kind"] == "HealthChanged")
    assert (line["cluster"], line["node"], line["level"], line["fields"]["new"]) == ("shop", "b", "bad", "down")
    assert line["text"].startswith("up → down: ")
    assert client.of("stats")[-1][0]["nodes"]["b"]["health"] == "down"
    await client.leave()


async def test_a_race_is_told_with_all_of_its_logins(driver: FakeDriver):
    driver["a"].delay, driver["b"].delay, driver["c"].outcome = 0.25, 0.5, "refused"
    cluster = Cluster[Any]({name: f"fake://app@{name}/shop" for name in "abc"}, driver=driver, name="shop")
    client = Client(status_app(cluster), "/events")
    await asyncio.sleep(0)
    async with cluster.connect():
        await asyncio.sleep(1)
    (race,) = client.of("race")
    assert (race["kind"], race["node"], race["seconds"], race["error"]) == ("connect", "a", pytest.approx(0.25, abs=0.2), None)
    assert {login["node"]: login["outcome"] for login in race["logins"]} == {"a": "won", "b": "lost", "c": "failed"}
    assert {login["reason"] for login in race["logins"]} == {"all"}
    await client.leave()
    await cluster.close()


async def test_the_page_s_stream_is_ready_to_be_shown(cluster: FakeCluster):
    client = Client(status_app(cluster), "/events", query="page")
    cluster.add_node("d", "fake://app@a/test")
    await asyncio.sleep(1)
    assert client.of("page")[0]["verdict"] == {"level": "good", "text": "All 4 nodes are up."}
    await client.leave()


async def test_who_comes_back_gets_what_he_missed(cluster: FakeCluster):
    app = status_app(cluster)
    first, other = Client(app, "/events"), Client(app, "/events")
    await asyncio.sleep(0.1)
    cluster.add_node("d", "fake://app@a/test")
    await asyncio.sleep(0.1)
    seen = max(number for _, _, number in first.events if number is not None)
    await first.leave()
    cluster.remove_node("d")
    await asyncio.sleep(0.1)
    back = Client(app, "/events", {"Last-Event-ID": str(seen)})
    await asyncio.sleep(0.1)
    assert [line["kind"] for line in back.of("event")] == ["NodeRemoved"]
    for client in (back, other):
        await client.leave()


async def test_a_number_of_another_process_gets_all_that_is_kept(cluster: FakeCluster):
    app = status_app(cluster)
    first = Client(app, "/events")
    await asyncio.sleep(0.1)
    cluster.add_node("d", "fake://app@a/test")
    await asyncio.sleep(0.1)
    back = Client(app, "/events", {"Last-Event-ID": "4711"})
    await asyncio.sleep(0.1)
    assert back.of("event") == first.of("event") != []
    for client in (first, back):
        await client.leave()


async def test_nobody_is_subscribed_to_unless_somebody_listens(cluster: FakeCluster):
    before = listeners(cluster)
    app = status_app(cluster)
    assert listeners(cluster) == before
    clients = [Client(app, "/events"), Client(app, "/events")]
    await asyncio.sleep(0.1)
    assert listeners(cluster) == before + 1
    for client in clients:
        await client.leave()
    assert listeners(cluster) == before
    assert len(app.state.streams) == 0


async def test_a_stream_that_is_cancelled_leaves_nothing(cluster: FakeCluster):
    before = listeners(cluster)
    client = Client(status_app(cluster), "/events")
    await asyncio.sleep(0.1)
    client.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.task
    assert listeners(cluster) == before


async def test_streams_end_when_the_server_shuts_down(cluster: FakeCluster):
    app = status_app(cluster)
    client = Client(app, "/events")
    await asyncio.sleep(0.1)
    app.state.streams.close()
    await client.task
    assert client.ended


async def test_more_than_may_listen_are_told_to_come_later(cluster: FakeCluster):
    app = status_app(cluster, max_streams=1)
    first, second = Client(app, "/events"), Client(app, "/events")
    await second.task
    assert second.status == 503
    await first.leave()
    third = Client(app, "/events")
    await asyncio.sleep(0.1)
    assert third.status == 200
    await third.leave()


async def test_who_does_not_read_is_let_go(cluster: FakeCluster):
    app = status_app(cluster)
    client = Client(app, "/events")
    await asyncio.sleep(0.1)
    client.stop_reading()
    await asyncio.sleep(7)
    assert client.task.done()
    assert len(app.state.streams) == 0
    await client.task


async def test_a_storm_is_cut_to_a_few_lines_that_say_so(cluster: FakeCluster):
    app = status_app(cluster)
    client = Client(app, "/events")
    await asyncio.sleep(0.1)
    for _ in range(500):
        cluster.update_node("a", weight=2.0)
    await asyncio.sleep(1.1)
    assert 10 <= len(client.of("event")) <= 20
    cluster.update_node("a", weight=1.0)
    await asyncio.sleep(0.1)
    assert client.of("event")[-1]["skipped"] >= 480
    await client.leave()


async def test_what_is_kept_is_bounded(cluster: FakeCluster):
    app = status_app(cluster)
    client = Client(app, "/events")
    for _ in range(40):
        for _ in range(10):
            cluster.update_node("a", weight=2.0)
        await asyncio.sleep(1)
    assert len(app.state.streams.lines) == 200
    await client.leave()
