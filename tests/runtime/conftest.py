"""Rule: after each of these tests the cluster is closed and no connection, login or timer is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import pytest

from aioclustersql.drivers.base import Endpoint
from aioclustersql.testing import FakeConnection, FakeDriver, Row, VirtualLoop

from . import tools
from .leases import Stand, stand
from .tools import FakeCluster


class Racing(Protocol):
    """As `tools.racing`."""

    def __call__(self, *rows: Row, **settings: Any) -> tuple[FakeCluster, FakeDriver]: ...


class Pooling(Protocol):
    """As `tools.racing`, and opened; without a monitor."""

    def __call__(self, *rows: Row, **settings: Any) -> Awaitable[tuple[FakeCluster, FakeDriver]]: ...


@pytest.fixture
async def closing() -> AsyncIterator[Callable[[FakeCluster, FakeDriver], None]]:
    """Takes a cluster and its driver: what the test still holds is closed, then nothing may be left."""
    made: list[tuple[FakeCluster, FakeDriver]] = []
    yield lambda cluster, driver: made.append((cluster, driver))
    for cluster, driver in made:
        handed_out = [conn for conn in driver.open_connections if _is_users(cluster, conn)]
        await cluster.close()
        for conn in handed_out:
            driver.terminate(conn)
        driver.assert_nothing_open()
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        assert loop.timers == ()


@pytest.fixture
def racing(closing: Callable[[FakeCluster, FakeDriver], None]) -> Racing:
    """`tools.racing`, and afterwards the check."""

    kept: list[FakeConnection] = []

    def make(*rows: Row, **settings: Any) -> tuple[FakeCluster, FakeDriver]:
        cluster, driver = tools.racing(*rows, **settings)
        log_in = driver.connect

        async def connect(endpoint: Endpoint, password: str | None) -> FakeConnection:
            kept.append(conn := await log_in(endpoint, password))  # what a test drops is not lost to the check
            return conn

        driver.connect = connect  # type: ignore[method-assign]
        closing(cluster, driver)
        return cluster, driver

    return make


@pytest.fixture
def pooling(racing: Racing) -> Pooling:
    """A cluster that is open, without a monitor, and afterwards the check."""

    async def make(*rows: Row, **settings: Any) -> tuple[FakeCluster, FakeDriver]:
        cluster, driver = racing(*rows, **{"monitor_interval": None, **settings})
        await cluster.open()
        return cluster, driver

    return make


def _is_users(cluster: FakeCluster, conn: object) -> bool:
    try:
        cluster.node_of(conn)
    except LookupError:
        return False
    pool = cluster._engine.pool
    return pool is None or conn not in [slot.conn for slot in pool._slots.values()]


@pytest.fixture
async def two() -> AsyncIterator[Stand]:
    """Two nodes; afterwards every lease is back, rolled back and closed."""
    made = stand("n1", "n2")
    yield made
    assert made.pool.dirty == []
    await made.pool.close()
    made.driver.assert_nothing_open()
