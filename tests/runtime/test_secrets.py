"""A password is shown nowhere: in no repr, statistic, event, log line or error, also when a server says it back."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, ClusterError, ConfigError, ConnectTimeout, Node
from aioclustersql.events import Event
from aioclustersql.testing import FakeDriver, FakeServer

from .tools import FakeCluster, cluster_over, start

SECRET = "s3cr3t-p4ss"
GIVEN = {
    "in the URL": (f"fake://app:{SECRET}@n/test", {}),
    "as an option": ("fake://app@n/test", {"password": SECRET}),
    "by a function": ("fake://app@n/test", {"password": lambda: SECRET}),
}


def shown(cluster: FakeCluster, events: list[Event], caplog: pytest.LogCaptureFixture) -> str:
    return " ".join([repr(cluster), repr(cluster.stats()), json.dumps(cluster.stats().as_dict()), repr(events), caplog.text])


@pytest.fixture
def echoing() -> FakeDriver:
    """A server whose error says the password back."""
    return FakeDriver(FakeServer("n", 0.25, RuntimeError(f"no entry for app with {SECRET}")))


@pytest.mark.parametrize("how", GIVEN)
async def test_a_password_that_an_error_says_back_is_hidden(how: str, echoing: FakeDriver, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    dsn, options = GIVEN[how]
    cluster = cluster_over(echoing, {"n": dsn}, connect_options=options)
    events: list[Event] = []
    cluster.subscribe(events.append)
    with pytest.raises(AllNodesFailed) as caught:
        await cluster.connect()
    assert "no entry for app with ***" in str(caught.value)
    assert SECRET not in shown(cluster, events, caplog) + str(caught.value)
    await cluster.close()


@pytest.mark.parametrize("how", GIVEN)
async def test_a_password_is_hidden_while_nothing_fails(how: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    dsn, options = GIVEN[how]
    driver = FakeDriver(FakeServer("n", 0.25, password=SECRET))
    cluster = cluster_over(driver, {"n": dsn}, connect_options=options)
    events: list[Event] = []
    cluster.subscribe(events.append)
    task = start(cluster)
    await asyncio.sleep(0.125)
    assert SECRET not in repr(task) + repr(asyncio.all_tasks())
    conn = await task
    assert SECRET not in shown(cluster, events, caplog) + repr(conn)
    driver.terminate(conn)
    await cluster.close()


async def test_a_password_is_hidden_in_the_message_of_a_timeout(echoing: FakeDriver):
    echoing.add(FakeServer("m", None, "silent"))
    cluster = cluster_over(echoing, {"n": f"fake://app:{SECRET}@n/test", "m": f"fake://app:{SECRET}@m/test"})
    with pytest.raises(ConnectTimeout) as caught:
        await cluster.connect(timeout=1)
    assert "***" in str(caught.value)
    assert SECRET not in str(caught.value)
    await cluster.close()


async def test_a_password_is_hidden_in_the_error_of_a_node_removed_meanwhile(echoing: FakeDriver):
    cluster = cluster_over(echoing, {"n": f"fake://app:{SECRET}@n/test"})
    connecting = start(cluster)
    await asyncio.sleep(0.125)
    cluster.remove_node("n")
    with pytest.raises(AllNodesFailed) as caught:
        await connecting
    assert SECRET not in str(caught.value)
    await cluster.close()


async def test_a_password_rotated_meanwhile_is_hidden(echoing: FakeDriver):
    passwords = iter([SECRET, "another"])
    cluster = cluster_over(echoing, {"n": "fake://app@n/test"}, stagger=0, connect_options={"password": lambda: next(passwords)})
    first = start(cluster)
    await asyncio.sleep(0.125)
    second = start(cluster)
    with pytest.raises(AllNodesFailed) as caught:
        await first
    assert SECRET not in str(caught.value)
    assert SECRET not in str(cluster.stats().nodes["n"].last_error_message)
    with pytest.raises(AllNodesFailed):
        await second
    await cluster.close()


@pytest.mark.parametrize(
    "nodes",
    [
        f"fake://app:{SECRET}@a,a/test",
        f"fake://app:{SECRET}@a,,b/test",
        f"fake://app:{SECRET}@a:port/test",
        f"fake://app:{SECRET}@a/test?chraset=utf8",
        f"fake://app@a/test?password={SECRET}&flag=x",
        f"app:{SECRET}@tcp(db:3306)/test",
        f"nonsense:{SECRET}@db/test",
        {"a": f"fake://app:{SECRET}@a,b/test"},
        {"a": f"unknown://app:{SECRET}@a/test"},
    ],
)
def test_a_password_is_hidden_in_what_is_said_of_wrong_urls(nodes: Any):
    with pytest.raises(ClusterError) as caught:
        cluster_over(FakeDriver("a"), nodes)
    assert isinstance(caught.value, ConfigError)
    assert SECRET not in str(caught.value)


def test_a_node_shows_neither_its_password_nor_the_values_of_its_options():
    node = Node("a", f"fake://app:{SECRET}@a/test", connect_options={"password": SECRET})
    assert repr(node) == "Node('a', 'fake://app:***@a/test', connect_options=<password>)"


async def test_a_short_password_mangles_no_message():
    driver = FakeDriver(FakeServer("n", 0.25, "refused"))
    cluster = cluster_over(driver, {"n": "fake://app:e@n/x"})
    with pytest.raises(AllNodesFailed, match=r"ConnectionRefusedError: .*Connect call"):
        await cluster.connect()
    await cluster.close()
