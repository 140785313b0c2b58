"""The cancel sweep over connecting: at every step of every scenario the cancel comes out and nothing is left."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, NotOpen
from aioclustersql.node import Role
from aioclustersql.testing import FakeConnection, FakeDriver, Row, VirtualLoop, run_virtual
from tests.cancel_sweep import Scenario, sweep

from .tools import FakeCluster, learn, racing, spend_hedges

Prepare = Callable[[FakeCluster, FakeDriver], Awaitable[None]]
OTHER = "another caller"
Caller = Callable[[FakeCluster], Coroutine[Any, Any, object]]

EAGER = [False, pytest.param(True, marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12"))]


async def as_it_is(cluster: FakeCluster, driver: FakeDriver) -> None:
    """Nothing is known of the nodes."""


async def warm(cluster: FakeCluster, driver: FakeDriver) -> None:
    await learn(cluster, driver, connects=20)


async def warm_and_silent(cluster: FakeCluster, driver: FakeDriver) -> None:
    """The next login meets a silent node, whichever it is."""
    await warm(cluster, driver)
    driver["a"].outcome = "silent"


async def warm_silent_and_without_hedges(cluster: FakeCluster, driver: FakeDriver) -> None:
    await warm_and_silent(cluster, driver)
    spend_hedges(cluster)


async def warm_and_refusing(cluster: FakeCluster, driver: FakeDriver) -> None:
    await warm(cluster, driver)
    driver["a"].outcome = "refused"


async def all_down(cluster: FakeCluster, driver: FakeDriver) -> None:
    await warm(cluster, driver)
    for server in driver:
        server.kill()
    await asyncio.gather(cluster.connect(), return_exceptions=True)
    driver["a"].restart()


async def somebody_races(cluster: FakeCluster, driver: FakeDriver) -> None:
    """Another caller's cold race is under way; he is left alone."""
    asyncio.create_task(with_block(cluster), name=OTHER)  # noqa: RUF006 - found by its name
    await asyncio.sleep(0)


async def connect(cluster: FakeCluster) -> FakeConnection:
    return await cluster.connect(timeout=5)


async def with_block(cluster: FakeCluster) -> None:
    async with cluster.connect() as conn:
        await conn.execute("SELECT 1")
        await asyncio.sleep(0.25)


async def prefer_standby(cluster: FakeCluster) -> FakeConnection:
    return await cluster.connect(target="prefer-standby")


async def until_it_is_back(cluster: FakeCluster) -> FakeConnection:
    return await cluster.connect(wait=True, timeout=5)


async def too_late(cluster: FakeCluster) -> None:
    with pytest.raises(TimeoutError):
        await cluster.connect(timeout=0.25)


async def slow_init(conn: FakeConnection) -> None:
    await conn.execute("SET")
    await asyncio.sleep(0.25)


async def slow_password() -> str:
    await asyncio.sleep(0.25)
    return "secret"


PAIR: tuple[Row, ...] = (("a", 0.03125, "ok"), ("b", 0.125, "ok"))
"""Once they are known, a comes first."""
SCENARIOS: dict[str, tuple[tuple[Row, ...], dict[str, Any], Prepare, Caller]] = {
    "cold": ((("a", 0.25, "ok"), ("b", 0.5, "ok"), ("c", None, "silent")), {}, as_it_is, connect),
    "a tie": ((("a", 0.25, "ok"), ("b", 0.25, "ok")), {}, as_it_is, connect),
    "no turn at all": ((("a", None, "ok"), ("b", None, "ok")), {}, as_it_is, connect),
    "masked failures": ((("a", 0, "refused"), ("b", 0, "not-ready"), ("c", 0.25, "ok")), {}, as_it_is, connect),
    "without stagger": ((("a", 0.25, "ok"), ("b", 0.5, "ok")), {"stagger": 0}, as_it_is, connect),
    "warm": (PAIR, {}, warm, connect),
    "hedge": (PAIR, {}, warm_and_silent, connect),
    "failover": (PAIR, {}, warm_silent_and_without_hedges, connect),
    "failure": (PAIR, {}, warm_and_refusing, connect),
    "all down": (PAIR, {}, all_down, connect),
    "init": (PAIR, {"init": slow_init}, as_it_is, connect),
    "password": (PAIR, {"connect_options": {"password": slow_password}}, as_it_is, connect),
    "a primary in hand": (
        (("a", 0.125, "ok", Role.PRIMARY), ("b", 0.25, "ok", Role.STANDBY)),
        {"target": "any"},
        as_it_is,
        prefer_standby,
    ),
    "only a primary": ((("a", 0.125, "ok", Role.PRIMARY), ("b", 2, "ok", Role.STANDBY)), {}, as_it_is, prefer_standby),
    "behind the gate": (PAIR, {}, somebody_races, connect),
    "wait": ((("a", 0, "refused"),), {}, as_it_is, until_it_is_back),
    "too late": ((("a", 0.5, "ok"), ("b", None, "silent")), {}, as_it_is, too_late),
    "a block": (PAIR, {}, as_it_is, with_block),
}


def making(name: str, *, swallow_cancel: bool = False, close_timeout: float = 5.0) -> Callable[[], Awaitable[Scenario]]:
    rows, settings, prepare, caller = SCENARIOS[name]

    async def make() -> Scenario:
        cluster, driver = racing(*rows, swallow_cancel=swallow_cancel, close_timeout=close_timeout, **settings)
        await prepare(cluster, driver)
        if name == "wait":
            driver["a"].then(0, "refused").then(0, "refused").then(0.125, "ok")
            driver["a"].outcome = "ok"

        async def settle() -> None:
            others = [task for task in asyncio.all_tasks() if task.get_name() == OTHER]
            await cluster.close()
            if others:
                await asyncio.gather(*others, return_exceptions=True)
                await cluster.close()

        return Scenario(lambda: caller(cluster), driver, settle)

    return make


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_cancelled_caller_leaks_nothing_at_any_step(name: str, eager: bool):
    assert sweep(making(name), eager=eager) >= 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_caller_cancelled_again_and_again_leaks_nothing(name: str):
    sweep(making(name), cancels=3)


@pytest.mark.parametrize("name", SCENARIOS)
def test_drivers_that_swallow_a_cancel_leak_nothing(name: str):
    sweep(making(name, swallow_cancel=True))


@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - {"a block", "too late"}))
@pytest.mark.parametrize("close_timeout", [5.0, 0.0])
def test_closing_in_any_turn_of_the_loop_ends_the_caller_and_leaves_nothing(name: str, close_timeout: float):
    turn = 0
    while run_virtual(_closed_in(turn, making(name, close_timeout=close_timeout))):
        turn += 1
        assert turn < 1_000


async def _closed_in(turn: int, make: Callable[[], Awaitable[Scenario]]) -> bool:
    """Close the cluster in the caller's turn of that number; whether he lived to see it."""
    scenario = await make()
    caller = asyncio.create_task(scenario.caller())
    for _ in range(turn + 1):
        await _one_turn()
    reached = not caller.done()
    await scenario.settle()
    await asyncio.wait({caller})
    error = caller.exception()
    assert error is None or isinstance(error, NotOpen | AllNodesFailed), turn
    if error is None and isinstance(conn := caller.result(), FakeConnection):
        scenario.driver.terminate(conn)
    scenario.driver.assert_nothing_open()
    assert asyncio.all_tasks() == {asyncio.current_task()}, turn
    return reached


async def _one_turn() -> None:
    """One turn of the loop; when nothing would happen in it, up to the next timer."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    await asyncio.sleep(0 if loop._ready or not loop.timers else loop.timers[0].when() - loop.time())
