"""The pool's promises in figures, in virtual time: what a spike costs, who gets how much, what chaos leaves behind."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from aioclustersql.errors import ClusterError
from aioclustersql.testing import FakeDriver

from .conftest import Pooling
from .tools import FakeCluster, books, cluster_over, moment, now, warm


async def query(cluster: FakeCluster, seconds: float) -> float:
    """Lease, ask, give back. How long all took."""
    began = now()
    async with cluster.acquire() as conn:
        conn.server.query_delay = seconds
        await conn.execute("SELECT 1")
    return now() - began


def opened(driver: FakeDriver) -> int:
    return driver.open + driver.logins_under_way


async def spike(pooling: Pooling, nodes: int, seconds: float) -> tuple[FakeCluster, FakeDriver, list[asyncio.Task[float]]]:
    """50 requests at once; five connections are warm, and there is room for 50."""
    names = "abc"[:nodes]
    cluster, driver = await pooling(*((name, 0.15, "ok") for name in names), max_size=50, max_total=50)
    await warm(cluster, 5)
    for name in names:
        cluster._registry.get(name).latency.observe(0.15, now())
    return cluster, driver, [asyncio.create_task(query(cluster, seconds)) for _ in range(50)]


@pytest.mark.parametrize("known", [False, True], ids=["at first", "later"])
@pytest.mark.parametrize("nodes", [1, 3])
async def test_a_spike_of_short_queries_opens_next_to_nothing(pooling: Pooling, nodes: int, known: bool):
    cluster, driver, tasks = await spike(pooling, nodes, 0.002)
    if known:
        await asyncio.gather(*tasks)
        await asyncio.sleep(1)
        tasks = [asyncio.create_task(query(cluster, 0.002)) for _ in range(50)]
    took = await asyncio.gather(*tasks)
    await moment()
    assert max(took) <= 0.025
    assert opened(driver) <= 8


async def test_a_spike_of_long_queries_opens_what_it_needs(pooling: Pooling):
    _cluster, driver, tasks = await spike(pooling, 3, 1.0)
    await asyncio.sleep(2)
    assert driver.open >= 40
    assert all(server.max_logins_under_way <= 2 for server in driver)
    await asyncio.gather(*tasks)


async def test_a_lease_held_for_ever_does_not_defeat_the_spikes_thrift(pooling: Pooling):
    cluster, driver = await pooling(("a", 0.15, "ok"), max_size=50, max_idle_time=7200.0, max_lifetime=7200.0)
    await warm(cluster, 6)
    listener = await cluster.acquire()
    await asyncio.gather(*(query(cluster, 0.002) for _ in range(5)))
    await asyncio.sleep(3600)
    await asyncio.gather(*(query(cluster, 0.002) for _ in range(5)))
    for _ in range(20):
        assert max(await asyncio.gather(*(query(cluster, 0.002) for _ in range(50)))) <= 0.025
        await asyncio.sleep(1)
    assert opened(driver) <= 9
    await cluster.release(listener)


@pytest.mark.parametrize("workers", [1, 3, 12])
async def test_three_equal_nodes_share_the_leases(pooling: Pooling, workers: int):
    cluster, _ = await pooling(*((name, 0.005, "ok") for name in "abc"))
    served: Counter[str] = Counter()

    async def work(rng: random.Random) -> None:
        while served.total() < 3000:
            async with cluster.acquire() as conn:
                served[conn.server.name] += 1
                await asyncio.sleep(rng.random() * 0.004)

    await asyncio.gather(*(work(random.Random(seed)) for seed in range(workers)))
    if workers > 1:
        assert all(0.28 <= served[name] / served.total() <= 0.39 for name in "abc"), served


async def test_a_slow_node_gets_no_leases_while_the_near_ones_have_idle_connections(pooling: Pooling):
    cluster, driver = await pooling(*((name, 0.005, "ok") for name in "abc"))
    for name, delay in (("a", 0.001), ("b", 0.001), ("c", 0.02)):
        driver[name].reset_delay = driver[name].query_delay = delay
    await warm(cluster, 9)
    served: Counter[str] = Counter()

    async def work() -> None:
        for _ in range(300):
            async with cluster.acquire() as conn:
                served[conn.server.name] += 1
                await conn.execute("SELECT 1")

    await asyncio.gather(*(work() for _ in range(4)))
    assert served["c"] <= 0.01 * served.total(), served


async def test_a_rejoined_node_is_back_at_its_share_without_a_storm(pooling: Pooling):
    cluster, driver = await pooling(*((name, 0.01, "ok") for name in "abc"))
    served: Counter[str] = Counter()
    stop = False

    async def work(rng: random.Random) -> None:
        while not stop:
            async with cluster.acquire() as conn:
                served[conn.server.name] += 1
                await asyncio.sleep(rng.random() * 0.02)
            await asyncio.sleep(rng.random() * 0.02)

    workers = [asyncio.create_task(work(random.Random(seed))) for seed in range(12)]
    await asyncio.sleep(2)
    driver["c"].kill()
    cluster.expire("c")
    await asyncio.sleep(5)
    assert books(cluster)["c"] == (0, 0, 0, 0)
    driver["c"].restart()
    await asyncio.sleep(10)
    served.clear()
    await asyncio.sleep(5)
    assert all(0.28 <= served[name] / served.total() <= 0.39 for name in "abc"), (served, books(cluster))
    times = [line.time for line in driver.trace if line.server == "c" and line.what == "ok" and line.time > 7]
    assert all(len([other for other in times if time <= other < time + 0.195]) <= 2 for time in times)
    stop = True
    await asyncio.gather(*workers)


def check(cluster: FakeCluster, driver: FakeDriver) -> None:
    """The books, the driver and the limits agree."""
    pool = cluster._engine.pool_here()
    known = [slot for book in pool.ledger.books.values() for slot in book]
    assert len(known) == len(set(known)) == len(pool._slots)
    assert {id(slot.conn) for slot in known} <= {id(conn) for conn in driver.open_connections}  # type: ignore[attr-defined]
    assert all(book.size <= pool.ledger.limits.max_size for book in pool.ledger.books.values())
    assert pool.ledger.total <= pool.ledger.limits.max_total


async def test_ten_thousand_leases_cancelled_at_random_leak_nothing() -> None:
    driver, rng = FakeDriver("a", "b", "c"), random.Random(3)
    for server in driver:
        server.delay, server.reset_delay = 0.01, 0.0005
    cluster = cluster_over(driver, monitor_interval=None, max_size=4, max_total=10)
    served: list[int] = []
    ended: Counter[str] = Counter()

    async def caller(number: int) -> None:
        try:
            async with cluster.acquire(timeout=rng.choice([0.0, 0.002, 0.01, 1.0])):
                served.append(number)
                await asyncio.sleep(rng.random() * 0.004)
        except ClusterError:
            ended["timed out"] += 1
        except asyncio.CancelledError:
            ended["cancelled"] += 1
            raise

    async with cluster:
        callers: list[asyncio.Task[None]] = []
        for number in range(10_000):
            callers.append(asyncio.create_task(caller(number)))
            if rng.random() < 0.25:
                rng.choice(callers[-20:]).cancel()
            if rng.random() < 0.7:
                await asyncio.sleep(rng.random() * 0.0008)
            if number % 100 == 0:
                check(cluster, driver)
        await asyncio.wait(callers)
        await moment()
        check(cluster, driver)
        assert cluster.stats().waiting == 0
        assert all(leased == 0 for _, leased, _, _ in books(cluster).values())
    driver.assert_nothing_open()
    assert served == sorted(served)
    assert len(served) > 3000
    assert ended["cancelled"] > 500
    assert ended["timed out"] > 100


async def test_a_busy_pool_is_fair_to_each_waiter(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.01, "ok"), max_size=10)
    turns: Counter[int] = Counter()

    async def work(number: int) -> None:
        while now() < 2:
            async with cluster.acquire():
                await asyncio.sleep(0.01)
            turns[number] += 1

    await asyncio.gather(*(work(number) for number in range(20)))
    assert min(turns.values()) >= max(turns.values()) - 3
