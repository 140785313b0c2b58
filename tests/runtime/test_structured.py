"""Under structured concurrency, of asyncio's kind and of anyio's: whoever is cancelled or late leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from aioclustersql.testing import FakeConnection

from .conftest import Pooling, Racing
from .tools import FakeCluster

Use = Callable[[FakeCluster, float], Coroutine[Any, Any, None]]


async def leasing(cluster: FakeCluster, seconds: float) -> None:
    async with cluster.acquire():
        await asyncio.sleep(seconds)


async def transacting(cluster: FakeCluster, seconds: float) -> None:
    async with cluster.transaction():
        await asyncio.sleep(seconds)


async def running(cluster: FakeCluster, seconds: float) -> None:
    async def unit(_: FakeConnection) -> None:
        await anyio.sleep(seconds)

    await cluster.run(unit)


every_use = pytest.mark.parametrize("use", [leasing, transacting, running])


async def nothing_leased(cluster: FakeCluster) -> None:
    """All leases are back, and the pool is as good as new."""
    await asyncio.sleep(2)
    assert [node.leased for node in cluster.stats().nodes.values()] == [0]
    async with cluster.acquire(timeout=0.5):
        pass


@pytest.mark.every_loop
@every_use
async def test_asyncio_timeout_ends_it_and_is_not_swallowed(pooling: Pooling, use: Use):
    cluster, _ = await pooling(("a", 0.25, "ok"), max_size=2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await use(cluster, 60)
    await nothing_leased(cluster)


@pytest.mark.every_loop
@every_use
async def test_a_cancel_scope_of_anyio_ends_it_at_any_await(pooling: Pooling, use: Use):
    cluster, _ = await pooling(("a", 0.25, "ok"), max_size=2)
    for moment in (0, 0.125, 0.25, 0.5):  # before, in, at the end of and after a login
        with anyio.move_on_after(moment) as scope:
            await use(cluster, 60)
        assert scope.cancelled_caught
    await nothing_leased(cluster)


@pytest.mark.every_loop
@every_use
async def test_a_failing_sibling_in_a_task_group_ends_the_others(pooling: Pooling, use: Use):
    cluster, _ = await pooling(("a", 0.25, "ok"), max_size=2)

    async def fail() -> None:
        await asyncio.sleep(1)
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as asyncios:
        async with asyncio.TaskGroup() as group:
            for _ in range(4):  # two of them wait for a lease
                group.create_task(use(cluster, 60))
            group.create_task(fail())
    with pytest.raises(ExceptionGroup) as anyios:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(use, cluster, 60.0)
            tasks.start_soon(fail)
    for caught in (asyncios, anyios):
        assert [type(each) for each in caught.value.exceptions] == [ZeroDivisionError]
    await nothing_leased(cluster)


@pytest.mark.every_loop
async def test_connects_in_a_task_group_are_closed_with_it(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", None, "silent"))

    async def hold() -> None:
        async with cluster.connect():
            await asyncio.sleep(60)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(hold)
        await anyio.sleep(1)
        assert len(driver.open_connections) >= 3
        group.cancel_scope.cancel()


@pytest.mark.real_time
@pytest.mark.every_loop
async def test_the_same_on_every_real_loop(pooling: Pooling):
    cluster, _ = await pooling(("a", 0, "ok"), max_size=2)
    for use in (leasing, transacting, running):
        with anyio.move_on_after(0.02) as scope:
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(use, cluster, 60.0)
        assert scope.cancelled_caught
        async with asyncio.timeout(5):
            await use(cluster, 0)
