"""A node that is up and refuses logins is told as avoided: why, since when, and until it lets in again."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from aioclustersql import AllNodesFailed
from aioclustersql.node import Health, Role
from aioclustersql.policy.health import REFUSED_FOR
from aioclustersql.testing import FakeDriver
from aioclustersql.testing.server import Outcome

from .tools import FakeCluster, cluster_over


async def refused(cluster: FakeCluster, driver: FakeDriver) -> datetime:
    """A connect fails because the only node is full; since when that is told."""
    driver["a"].outcome = "overloaded"
    with pytest.raises(AllNodesFailed):
        await cluster.connect()
    node = cluster.stats().nodes["a"]
    assert (node.health, node.avoided, node.cause) == (Health.UP, True, "FakeError: a has too many connections")
    return node.since


async def test_a_refused_login_is_told_until_one_succeeds():
    driver = FakeDriver("a")
    cluster = cluster_over(driver)
    began = datetime.now(UTC)
    since = await refused(cluster, driver)
    assert since >= began
    assert await refused(cluster, driver) == since
    driver["a"].outcome = "ok"
    await cluster.connect()
    node = cluster.stats().nodes["a"]
    assert (node.avoided, node.cause) == (False, None)
    assert node.since > since


async def test_a_refusal_that_nobody_repeats_is_told_for_a_while():
    driver = FakeDriver("a")
    cluster = cluster_over(driver)
    await refused(cluster, driver)
    await asyncio.sleep(REFUSED_FOR - 0.1)
    assert cluster.stats().nodes["a"].avoided
    await asyncio.sleep(0.2)
    assert not cluster.stats().nodes["a"].avoided


@pytest.mark.parametrize("outcome", ["overloaded", "wrong-password"])
async def test_a_monitor_that_is_refused_tells_it_all_the_while(outcome: Outcome, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "aioclustersql")
    driver = FakeDriver("a")
    driver["a"].outcome = outcome
    async with cluster_over(driver) as cluster:
        for _ in range(40):
            await asyncio.sleep(1)
            assert cluster.stats().nodes["a"].avoided
        assert caplog.text.count("a login failed") == 1
        driver["a"].outcome = "ok"
        await asyncio.sleep(6)
        assert not cluster.stats().nodes["a"].avoided
    assert caplog.text.count("node a: logins succeed again") == 1


async def test_another_role_has_a_beginning_of_its_own():
    driver = FakeDriver("a")
    cluster = cluster_over(driver, target="any")
    await cluster.connect()
    before = cluster.stats().nodes["a"].since
    driver["a"].role = Role.STANDBY
    await cluster.connect()
    node = cluster.stats().nodes["a"]
    assert node.role is Role.STANDBY
    assert node.since > before
