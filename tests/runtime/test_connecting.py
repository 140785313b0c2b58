"""The forms of a connect: awaited, entered, in a task, and the module's own for scripts."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Coroutine

import pytest

import aioclustersql
from aioclustersql import AllNodesFailed, ConfigError, Node
from aioclustersql.testing import FakeConnection, FakeDriver, scenario

from .conftest import Racing
from .tools import cluster_over, learn, now

pytestmark = pytest.mark.every_loop


async def test_awaited_it_is_the_drivers_own_connection(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    conn = await cluster.connect()
    assert type(conn) is FakeConnection
    assert not conn.closed


async def test_entered_it_is_closed_with_a_goodbye_at_the_end(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    async with cluster.connect() as conn:
        assert not conn.closed
    assert conn.how_closed == "goodbye"


async def test_entered_it_is_closed_when_the_block_fails(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    with pytest.raises(LookupError, match="mine"):
        async with cluster.connect() as conn:
            raise LookupError("mine")
    assert conn.how_closed == "goodbye"


async def test_a_connection_that_its_user_closed_may_leave_the_block(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    async with cluster.connect() as conn:
        driver.terminate(conn)
    assert conn.how_closed == "terminated"


async def test_a_goodbye_that_hangs_keeps_the_block_for_the_close_timeout_only(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), close_timeout=0.5)
    driver["a"].close_delay = 60
    async with cluster.connect() as conn:
        pass
    assert (now(), conn.how_closed) == (0.75, "terminated")


async def test_a_cancelled_goodbye_leaves_at_once_and_the_connection_is_closed_all_the_same(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    driver["a"].close_delay = 0.5

    async def user() -> None:
        async with cluster.connect():
            pass

    task = asyncio.create_task(user())
    await asyncio.sleep(0.375)
    task.cancel()
    await asyncio.wait({task})
    assert (task.cancelled(), now()) == (True, 0.375)
    await asyncio.sleep(1)
    assert (driver["a"].goodbyes, driver["a"].terminated) == (1, 0)


async def test_a_task_takes_it(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    assert (await asyncio.create_task(cluster.connect())).server.name == "a"


async def test_gather_takes_it(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    first, second = await asyncio.gather(cluster.connect(), cluster.connect())
    assert first is not second


async def test_a_task_group_takes_it(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(cluster.connect())
    assert task.result().server.name == "a"


async def test_it_is_a_coroutine(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    connecting = cluster.connect()
    assert isinstance(connecting, Coroutine)
    assert asyncio.iscoroutine(connecting)
    await connecting


async def test_a_task_cancelled_before_it_began_makes_no_login(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    task = asyncio.Task(cluster.connect())
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert driver.starts == []


async def test_nothing_runs_before_it_is_used(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    unused = cluster.connect()
    await asyncio.sleep(1)
    assert driver.starts == []
    unused.close()


async def test_used_twice_it_is_an_error(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    connecting = cluster.connect()
    await connecting
    with pytest.raises(RuntimeError, match=r"this connect was used already; call connect\(\) again"):
        await connecting
    with pytest.raises(RuntimeError, match="used already"):
        async with connecting:
            pass


async def test_a_block_entered_twice_is_an_error(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    connecting = cluster.connect()
    async with connecting:
        with pytest.raises(RuntimeError, match="used already"):
            await connecting


async def test_the_modules_connect_closes_everything_at_the_end():
    driver, nodes = scenario(("a", 0.25, "ok"), ("b", 0.5, "ok"))
    async with aioclustersql.connect(nodes, driver=driver) as conn:
        assert conn.server.name == "a"
    driver.assert_nothing_open()


async def test_the_modules_connect_takes_options_targets_and_times():
    driver, nodes = scenario(("a", 0.25, "refused"))
    with pytest.raises(AllNodesFailed, match=r"target standby"):
        await aioclustersql.connect(nodes, driver=driver, target="standby", timeout=1, charset="utf8")
    with pytest.raises(ConfigError, match="did you mean 'charset'"):
        aioclustersql.connect(nodes, driver=driver, chraset="utf8")
    driver["a"].outcome = "ok"
    async with aioclustersql.connect(nodes, driver=driver, charset="utf8") as conn:
        assert conn.options["charset"] == "utf8"


async def test_the_modules_connect_takes_every_form_of_nodes():
    driver, _ = scenario(("a", 0.25, "ok"), ("b", 0.5, "ok"))
    for nodes in ("fake://app@a,b/test", {"a": "fake://app@a/test"}, [Node("a", "fake://app@a/test")]):
        async with aioclustersql.connect(nodes, driver=driver) as conn:
            assert conn.server.name == "a"


async def test_the_modules_connect_waits_where_it_is_told_to():
    driver, nodes = scenario(("a", 0, "refused"))
    waiting = asyncio.create_task(aioclustersql.connect(nodes, driver=driver, wait=True, timeout=60))
    await asyncio.sleep(5)
    driver["a"].outcome = "ok"
    conn = await waiting
    assert conn.server is driver["a"]
    driver.terminate(conn)


async def test_awaited_the_modules_connection_is_the_callers():
    driver, nodes = scenario(("a", 0.25, "ok"))
    conn = await aioclustersql.connect(nodes, driver=driver)
    await asyncio.sleep(2)
    driver.assert_only_open(conn)
    driver.terminate(conn)


async def test_a_password_function_that_hangs_for_one_node_does_not_keep_a_connect_from_the_others(racing: Racing):
    hangs = False

    async def password() -> str:
        if hangs:
            await asyncio.sleep(60)
        return "x"

    cluster, driver = racing(("b", 0.125, "ok"))
    driver.add("a").delay = 0.03125
    cluster.add_node("a", "fake://app@a/test", connect_options={"password": password})
    await learn(cluster, driver)
    hangs = True
    conn = await cluster.connect(timeout=5)
    assert conn.server is driver["b"]
    await cluster.close(timeout=0)


async def test_a_dropped_connection_is_freed_without_a_garbage_collection(racing: Racing):
    driver = FakeDriver("a", "b")
    cluster = cluster_over(driver)
    for _ in range(10):
        driver.terminate(await cluster.connect())
    await asyncio.sleep(3)
    gc.collect()
    gc.disable()
    try:
        conn = await cluster.connect()
        driver.terminate(conn)
        freed = weakref.ref(conn)
        del conn
        await asyncio.sleep(3)
        assert freed() is None
    finally:
        gc.enable()
    await cluster.close()


async def test_a_closed_connection_is_still_known_and_no_longer_counted(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    conn = await cluster.connect()
    assert cluster.stats().nodes["a"].open == 1
    driver.terminate(conn)
    assert cluster.stats().nodes["a"].open == 0
    await cluster.connect()
    assert cluster.node_of(conn) == "a"
