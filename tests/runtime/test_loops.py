"""One cluster, several event loops: one after the other, never two at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from aioclustersql import WrongLoop
from aioclustersql.node import Health
from aioclustersql.testing import FakeConnection, VirtualLoop, run_virtual

from .tools import FakeCluster, racing


async def connect_and_close(cluster: FakeCluster) -> str:
    async with cluster.connect() as conn:
        return conn.server.name


def test_a_cluster_may_be_used_in_a_second_run_without_having_been_closed():
    cluster, driver = racing(("a", 0.25, "ok"))
    assert [run_virtual(connect_and_close(cluster)) for _ in range(3)] == ["a"] * 3
    driver.assert_nothing_open()


def test_a_cluster_may_be_opened_and_closed_in_one_loop_and_then_in_another():
    cluster, driver = racing(("a", 0.25, "ok"))

    async def main() -> None:
        async with cluster:
            await connect_and_close(cluster)

    for _ in range(3):
        run_virtual(main())
    driver.assert_nothing_open()


def test_what_was_under_way_in_a_loop_that_is_gone_is_forgotten():
    cluster, driver = racing(("a", 0.25, "ok"), ("b", None, "silent"))

    async def main() -> FakeConnection:
        return await cluster.connect()

    conns = [run_virtual(main()) for _ in range(5)]
    assert driver["b"].logins_under_way == 0
    assert [conn.server.name for conn in conns] == ["a"] * 5
    run_virtual(cluster.close())


def test_a_caller_that_was_lost_with_his_loop_holds_no_gate():
    cluster, driver = racing(("a", None, "silent"))

    async def abandoned() -> None:
        asyncio.create_task(cluster.connect())  # noqa: RUF006 - lost on purpose
        await asyncio.sleep(0.125)

    run_virtual(abandoned())
    driver["a"].outcome = "ok"
    assert run_virtual(connect_and_close(cluster)) == "a"


def test_times_measured_by_another_clock_are_forgotten():
    cluster, driver = racing(("a", 0, "refused"), ("b", 0.25, "ok"))

    async def long() -> None:
        await asyncio.sleep(1_000)
        await connect_and_close(cluster)

    run_virtual(long())
    assert cluster.stats().nodes["a"].health is Health.DOWN
    driver["a"].outcome = "ok"
    assert run_virtual(connect_and_close(cluster)) == "a"


def test_an_open_cluster_is_refused_in_a_second_loop():
    cluster, _ = racing(("a", 0.25, "ok"))
    with asyncio.Runner(loop_factory=VirtualLoop) as first, asyncio.Runner(loop_factory=VirtualLoop) as second:
        first.run(cluster.open())
        for call in (cluster.open(), connect_and_close(cluster)):
            with pytest.raises(WrongLoop, match="in use in another event loop; close it there, or make one cluster per loop"):
                second.run(call)
        first.run(cluster.close())
        assert second.run(connect_and_close(cluster)) == "a"
        second.run(cluster.close())


@pytest.mark.real_time
async def test_a_cluster_that_is_in_use_in_a_running_loop_is_refused_in_another_threads():
    cluster, driver = racing(("a", None, "silent"))
    busy = asyncio.create_task(cluster.connect())
    await asyncio.sleep(0)
    refused: list[BaseException] = []

    def other() -> None:
        try:
            asyncio.run(connect_and_close(cluster))
        except WrongLoop as exc:
            refused.append(exc)

    await asyncio.to_thread(other)
    assert len(refused) == 1
    busy.cancel()
    await asyncio.wait({busy})
    await cluster.close(timeout=0)
    driver.assert_nothing_open()


@pytest.mark.real_time
@pytest.mark.every_loop
async def test_a_look_that_is_due_at_once_is_followed_by_another():
    cluster, _ = racing(("a", 0, "ok"))
    async with cluster:
        loop, opener = asyncio.get_running_loop(), cluster._engine.pool_here().opener
        opener._look_again(loop.time() + 1e-4, loop.time())  # uvloop gives no timer for that
        opener._look_again(loop.time() + 60, loop.time())


@pytest.mark.real_time
async def test_the_stats_may_be_read_from_any_thread_while_connects_run():
    cluster, driver = racing(*((name, 0, "ok") for name in "abc"))
    failed: list[Exception] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                cluster.stats().as_dict()
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is the finding
                failed.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(500):
            driver.terminate(await cluster.connect())
    finally:
        over.set()
        reader.join()
    await cluster.close()
    assert failed == []
