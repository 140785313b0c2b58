"""Whoever is cancelled in the pool, and whenever, leaves nothing behind and takes nothing with him."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from aioclustersql.policy.ledger import State
from aioclustersql.testing import FakeConnection, FakeDriver, ResetAnswer
from tests.cancel_sweep import Scenario, sweep

from .tools import FakeCluster, cluster_over, lease, warm

Caller = Callable[[FakeCluster, list[FakeConnection]], Coroutine[Any, Any, object]]

EAGER = [False, pytest.param(True, marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12"))]


async def _init(conn: FakeConnection) -> None:
    await conn.execute("SET x = 1")


def making(
    caller: Caller,
    *,
    idle: int = 0,
    held: int = 0,
    back_after: float | None = None,
    answer: ResetAnswer = "read",
    **settings: Any,
):
    """An open cluster of two nodes with so many idle and leased connections; those come back after a while, if they do."""

    async def make() -> Scenario:
        driver = FakeDriver("a", "b")
        for server in driver:
            server.delay, server.validate_delay, server.query_delay, server.reset_delay = 0.01, 0.005, 0.005, 0.01
            server.reset_answer = answer
        cluster = cluster_over(driver, init=_init, monitor_interval=None, **settings)
        await cluster.open()
        if idle:
            await warm(cluster, idle)
        conns = await lease(cluster, held)
        backs = []
        if back_after is not None:
            backs = [asyncio.get_running_loop().call_later(back_after, _back, cluster, conn) for conn in conns]

        async def settle() -> None:
            for timer in backs:
                timer.cancel()
            _check(cluster)
            await cluster.close()

        return Scenario(lambda: caller(cluster, conns), driver, settle)

    return make


def _back(cluster: FakeCluster, conn: FakeConnection) -> None:
    pool = cluster._engine.pool_here()
    pool.release(pool.lease_of(conn))


def _check(cluster: FakeCluster) -> None:
    """Nothing waits, and what nobody holds is no lease."""
    pool = cluster._engine.pool
    if pool is None:
        return
    assert pool.ledger.waiting == 0
    for book in pool.ledger.books.values():
        assert all(slot.state is State.LEASED for slot in book.leased)


async def acquire(cluster: FakeCluster, _: list[FakeConnection]) -> FakeConnection:
    return await cluster.acquire()


async def use(cluster: FakeCluster, _: list[FakeConnection]) -> None:
    async with cluster.acquire() as conn:
        await conn.execute("SELECT 1")


async def release(cluster: FakeCluster, conns: list[FakeConnection]) -> None:
    for conn in conns:
        await cluster.release(conn)
    await asyncio.sleep(0.02)


async def close(cluster: FakeCluster, _: list[FakeConnection]) -> None:
    await cluster.close()


async def drain(cluster: FakeCluster, _: list[FakeConnection]) -> None:
    await cluster.drain_node("a", timeout=0.1)


async def ready(cluster: FakeCluster, _: list[FakeConnection]) -> None:
    await cluster.wait_ready(nodes=2)


SCENARIOS: dict[str, tuple[Callable[[], Awaitable[Scenario]], int]] = {
    "acquire, cold": (making(acquire), 4),
    "acquire, at hand": (making(acquire, idle=2), 1),
    "acquire, handed over": (making(acquire, held=1, back_after=0.02, max_total=1), 2),
    "acquire, handed over without a task": (
        making(acquire, held=1, back_after=0.02, max_total=1, answer="usual"),
        2,
    ),
    "acquire, handed over without a reset": (making(acquire, held=1, back_after=0.02, max_total=1, reset=False), 2),
    "a lease for a block": (making(use), 5),
    "a lease for a block, at hand": (making(use, idle=1), 3),
    "release": (making(release, held=2), 3),
    "close, all idle": (making(close, idle=3), 4),
    "close, with leases that come back": (making(close, idle=1, held=2, back_after=0.02), 4),
    "close, with leases that are cut": (making(close, idle=1, held=2, close_timeout=0.1), 3),
    "close, while logins are under way": (making(close, min_size=2), 3),
    "drain, with leases that come back": (making(drain, held=2, back_after=0.03), 4),
    "drain, with leases that are cut": (making(drain, held=2), 4),
    "wait until it is ready": (making(ready), 3),
}


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_cancel_at_any_step_leaves_nothing(name: str, eager: bool):
    make, least = SCENARIOS[name]
    assert sweep(make, eager=eager) >= least


@pytest.mark.parametrize("name", ["acquire, handed over", "close, with leases that come back", "close, with leases that are cut"])
def test_a_second_cancel_leaves_nothing_either(name: str):
    make, least = SCENARIOS[name]
    assert sweep(make, cancels=2) >= least
