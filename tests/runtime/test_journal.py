"""The log: one line per change, with node, old -> new and cause; what repeats is said once a minute."""

from __future__ import annotations

import asyncio
import logging

import pytest

from aioclustersql import AcquireTimeout, AllNodesFailed
from aioclustersql.events import AcquireFailed, DegradedChanged, Event, SupersededChanged
from aioclustersql.node import Role
from aioclustersql.testing import FakeDriver, FakeServer

from .conftest import Pooling, Racing
from .tools import cluster_over


@pytest.fixture(autouse=True)
def _all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aioclustersql")


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    return [(record.name, record.levelname, record.getMessage()) for record in caplog.records]


async def test_a_node_that_goes_and_comes_is_told_in_a_line_each(caplog: pytest.LogCaptureFixture):
    driver = FakeDriver(FakeServer("a"), FakeServer("b"))
    async with cluster_over(driver, name="shop"):
        await asyncio.sleep(2)
        driver["a"].kill()
        await asyncio.sleep(300)
        driver["a"].restart()
        await asyncio.sleep(10)
    refused = "ConnectionRefusedError: [Errno 111] Connect call failed (a)"
    assert lines(caplog) == [
        ("aioclustersql", "WARNING", f"cluster shop: node a: up -> down: {refused}"),
        ("aioclustersql", "INFO", "cluster shop: node a: down -> up"),
    ]


async def test_a_node_that_stays_down_without_a_monitor_is_said_once_a_minute(racing: Racing, caplog: pytest.LogCaptureFixture):
    cluster, driver = racing(("a", 0, "refused"), ("b", 0.125, "ok"))
    for _ in range(100):
        driver.terminate(await cluster.connect())
        await asyncio.sleep(1.2)
    told = [line for _, _, line in lines(caplog)]
    assert told[0].startswith("cluster cluster: node a: up -> down: ConnectionRefusedError")
    assert 2 <= len(told) <= 7  # of more than 50 changes
    assert "times more since this was said last)" in told[-1]


async def test_an_error_that_repeats_is_counted_and_said_once_a_minute(racing: Racing, caplog: pytest.LogCaptureFixture):
    cluster, _ = racing(("a", 0.125, "wrong-password"))
    for _ in range(61):
        with pytest.raises(AllNodesFailed):
            await cluster.connect()
        await asyncio.sleep(0.875)
    said = "cluster cluster: node a: a login failed: FakeError: access denied on a: wrong password"
    assert lines(caplog) == [
        ("aioclustersql", "WARNING", said),
        ("aioclustersql", "WARNING", said + " (and 59 times more since this was said last)"),
    ]


async def test_a_degraded_node_is_told_and_when_it_is_over(caplog: pytest.LogCaptureFixture):
    driver, events = FakeDriver(FakeServer("a")), list[Event]()
    cluster = cluster_over(driver)
    cluster.subscribe(events.append)
    async with cluster:
        await asyncio.sleep(2)
        driver["a"].degraded, driver["a"].cause = True, "it is desynced"
        await asyncio.sleep(2)
        driver["a"].degraded, driver["a"].cause = False, None
        await asyncio.sleep(2)
    assert [line for name, _, line in lines(caplog) if name == "aioclustersql.monitor"] == [
        "cluster cluster: node a: degraded, serves only what no other can: it is desynced",
        "cluster cluster: node a: no longer degraded",
    ]
    assert [event.cause for event in events if isinstance(event, DegradedChanged)] == ["it is desynced", None]


async def test_an_old_primary_that_comes_back_is_told_to_listeners():
    driver, events = FakeDriver(FakeServer("old", role=Role.PRIMARY), FakeServer("new", role=Role.PRIMARY)), list[Event]()
    driver["old"].timeline, driver["new"].timeline = 1, 2
    cluster = cluster_over(driver)
    cluster.subscribe(events.append)
    async with cluster:
        await asyncio.sleep(2)
    [told] = [event for event in events if isinstance(event, SupersededChanged)]
    assert (told.node, told.cause is None) == ("old", False)


async def test_who_waits_in_vain_is_told_once_with_what_everybody_does(pooling: Pooling, caplog: pytest.LogCaptureFixture):
    cluster, _ = await pooling(("a", 0.125, "ok"), max_size=1)
    events: list[Event] = []
    cluster.subscribe(events.append)
    async with cluster.acquire():
        for _ in range(5):
            with pytest.raises(AcquireTimeout):
                await cluster.acquire(timeout=1)
    [(name, level, line)] = [told for told in lines(caplog) if "role" not in told[2]]
    assert (name, level) == ("aioclustersql.pool", "WARNING")
    assert line.startswith("cluster cluster: a caller got no connection: no connection within 1 s")
    assert [event.seconds for event in events if isinstance(event, AcquireFailed)] == [1.0] * 5
    assert cluster.stats().timeouts == 5


async def test_to_ask_for_what_is_at_hand_alone_is_no_warning(pooling: Pooling, caplog: pytest.LogCaptureFixture):
    cluster, _ = await pooling(("a", 0.125, "ok"), max_size=1)
    async with cluster.acquire():
        with pytest.raises(AcquireTimeout):
            await cluster.acquire(timeout=0)
    assert lines(caplog) == []


async def test_since_when_a_node_is_what_it_is_is_known(racing: Racing):
    cluster, driver = racing(("a", 0.125, "ok"), ("b", 0.125, "ok"))
    registered = cluster.stats().nodes["a"].since
    driver["a"].outcome = "refused"
    await cluster.connect()
    stats = cluster.stats().nodes
    assert stats["a"].since > registered
    assert stats["b"].since <= stats["a"].since
