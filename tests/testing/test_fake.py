"""The fake driver does what it is told, at exact times, and its books are right."""

from __future__ import annotations

import asyncio
import gc
import math
import pickle
import socket
import sys
import weakref
from typing import Any

import pytest

from aioclustersql.drivers.base import Driver
from aioclustersql.errors import ConfigError, NodeNotFit
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role, Target
from aioclustersql.testing import FakeConnection, FakeDriver, FakeError, FakeServer, Outcome, run_virtual, scenario


def now() -> float:
    return asyncio.get_running_loop().time()


async def log_in(driver: FakeDriver, name: str = "n1", password: str | None = None) -> FakeConnection:
    return await driver.connect(driver.parse(f"fake://app@{name}/test", {}), password)


def start(driver: FakeDriver, name: str = "n1") -> asyncio.Task[FakeConnection]:
    return asyncio.create_task(log_in(driver, name), name=name)


async def test_rows_become_servers_and_every_login_ends_as_told_and_when_told():
    driver, nodes = scenario(("n1", 0.25, "ok"), ("n2", 0.5, "refused"), ("n3", None, "silent"), ("n4", 0, "ok", Role.STANDBY))
    protocol: Driver[FakeConnection] = driver
    assert nodes["n1"] == "fake://app@n1/test"
    tasks = {name: asyncio.create_task(protocol.connect(protocol.parse(dsn, {}), None)) for name, dsn in nodes.items()}
    await asyncio.sleep(60)
    tasks["n3"].cancel()
    await asyncio.wait(tasks.values())
    assert driver.trace == [
        *((0.0, name, "login") for name in nodes),
        (0.0, "n4", "ok"),
        (0.25, "n1", "ok"),
        (0.5, "n2", "failed"),
        (60.0, "n3", "interrupted"),
    ]
    assert driver.starts == [(0.0, name) for name in nodes]
    assert isinstance(tasks["n2"].exception(), ConnectionRefusedError)
    assert [driver.max_logins_under_way, driver.logins_under_way, driver.interrupted, driver.open] == [4, 0, 1, 2]
    assert await driver.validate(tasks["n4"].result(), Target.ANY) is Role.STANDBY


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("refused", FailureKind.UNREACHABLE),
        ("reset", FailureKind.SESSION_LOST),
        ("wrong-password", FailureKind.CONFIGURATION),
        ("overloaded", FailureKind.OVERLOADED),
        ("blocked", FailureKind.HOST_BLOCKED),
        ("starting", FailureKind.UNREACHABLE),
        (TimeoutError("mine"), FailureKind.TIMEOUT),
        (LookupError("mine"), FailureKind.OTHER),
    ],
)
async def test_every_failed_login_has_its_meaning(outcome: Outcome | Exception, kind: FailureKind):
    driver, _ = scenario(("n1", 0.25, outcome))
    with pytest.raises(Exception, match=r"n1|mine") as caught:
        await log_in(driver)
    assert driver.classify(caught.value) is kind
    assert (now(), driver["n1"].failed, driver.open) == (0.25, 1, 0)


async def test_a_server_that_is_not_ready_lets_in_and_fails_validation():
    driver, _ = scenario(("n1", 0, "not-ready"))
    conn = await log_in(driver)
    for refused in (driver.validate(conn, Target.ANY), conn.execute("SELECT 1")):
        with pytest.raises(FakeError) as caught:
            await refused
        assert driver.classify(caught.value) is FailureKind.NOT_READY
    driver.assert_only_open(conn)


async def test_a_peer_has_no_standby():
    driver, _ = scenario(("n1", 0, "ok"))
    conn = await log_in(driver)
    assert await driver.validate(conn, Target.READ_WRITE) is Role.PEER
    with pytest.raises(NodeNotFit, match="prefer-standby"):
        await driver.validate(conn, Target.STANDBY)


async def test_an_unknown_name_is_a_name_that_does_not_exist():
    driver = FakeDriver("n1")
    with pytest.raises(socket.gaierror) as caught:
        await log_in(driver, "n2")
    assert driver.classify(caught.value) is FailureKind.CONFIGURATION


async def test_a_script_goes_first_and_then_the_server_is_as_before():
    driver = FakeDriver("n1")
    driver["n1"].then(0.25, "refused").then(0.5, "reset")
    for error in (ConnectionRefusedError, ConnectionResetError):
        with pytest.raises(error):
            await log_in(driver)
    await log_in(driver)
    assert (now(), driver["n1"].started, driver["n1"].succeeded, driver["n1"].failed) == (0.75, 3, 1, 2)


async def test_the_password_is_checked_and_remembered():
    driver = FakeDriver(FakeServer("n1", password="right"))
    with pytest.raises(FakeError, match="wrong password") as caught:
        await log_in(driver, password="secret")
    assert driver["n1"].last_password == "secret"
    assert "secret" not in str(caught.value) + repr(driver) + repr(driver["n1"]) + repr(driver.trace)
    await log_in(driver, password="right")


async def test_a_frozen_server_answers_nothing_until_it_thaws():
    driver, _ = scenario(("n1", 0.25, "ok"))
    server, conn = driver["n1"], await log_in(driver)
    server.freeze()
    login, closing = start(driver), asyncio.create_task(driver.close(conn))
    await asyncio.sleep(10)
    assert not login.done()
    assert not closing.done()
    assert (server.logins_under_way, server.closes_under_way, repr(server)) == (
        1,
        1,
        "<FakeServer n1 frozen, open=1, logins=1, role=peer>",
    )
    server.thaw()
    await asyncio.wait({login, closing})
    assert (now(), conn.how_closed) == (10.25, "goodbye")
    driver.assert_only_open(login.result())


async def test_a_killed_server_fails_logins_loses_connections_and_refuses_until_its_restart():
    driver, _ = scenario(("n1", 0.25, "ok"))
    server, conn = driver["n1"], await log_in(driver)
    server.query_delay = 5
    attempt, query = start(driver), asyncio.create_task(conn.execute("SELECT 1"))
    await asyncio.sleep(0.125)
    server.kill()
    await asyncio.wait({attempt, query})
    assert now() == 0.375
    assert isinstance(attempt.exception(), ConnectionResetError)
    lost = query.exception()
    assert lost is not None
    assert driver.classify(lost) is FailureKind.SESSION_LOST
    assert (driver.is_closed(conn), repr(conn), server.lost) == (True, "<FakeConnection 1 n1 lost>", 1)
    with pytest.raises(ConnectionRefusedError):
        await log_in(driver)
    server.restart()
    driver.terminate(await log_in(driver))
    driver.assert_nothing_open()


async def test_a_login_that_spans_a_restart_is_lost():
    driver, _ = scenario(("n1", None, "silent"))
    login = start(driver)
    await asyncio.sleep(1)
    driver["n1"].restart()
    with pytest.raises(ConnectionResetError):
        await login


async def test_closes_are_counted_once_and_by_their_kind():
    driver = FakeDriver("n1")
    first, second = await log_in(driver), await log_in(driver)
    await driver.close(first)
    await driver.close(first)
    driver.terminate(first)
    driver.terminate(second)
    driver.terminate(second)
    await driver.close(second)
    assert (driver["n1"].goodbyes, driver["n1"].terminated, driver.open) == (1, 1, 0)
    with pytest.raises(FakeError) as caught:
        await second.execute("SELECT 1")
    assert driver.classify(caught.value) is FailureKind.FOUND_CLOSED


async def test_a_close_that_is_cut_leaves_the_connection_to_be_terminated():
    driver = FakeDriver(FakeServer("n1", close_delay=math.inf))
    conn = await log_in(driver)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await driver.close(conn)
    assert (now(), conn.closed, driver["n1"].closes_under_way) == (1.5, False, 0)
    closing = asyncio.create_task(driver.close(conn))
    await asyncio.sleep(0)
    driver.terminate(conn)
    await closing
    assert (now(), conn.how_closed, driver["n1"].goodbyes) == (1.5, "terminated", 0)


async def test_a_cancel_half_way_can_return_a_live_connection():
    driver, _ = scenario(("n1", 1, "ok"), ("n2", None, "silent"), swallow_cancel=True)
    live, silent = start(driver), start(driver, "n2")
    await asyncio.sleep(0.5)
    live.cancel()
    silent.cancel()
    await asyncio.wait({live, silent})
    assert silent.cancelled()
    assert not live.cancelled()
    driver.assert_only_open(live.result())


async def test_interrupted_logins_block_the_host_until_one_succeeds_between():
    driver = FakeDriver(FakeServer("n1", 0.25, max_connect_errors=2))

    async def interrupt() -> None:
        login = start(driver)
        await asyncio.sleep(0)
        login.cancel()
        await asyncio.wait({login})

    await interrupt()
    await log_in(driver)
    await interrupt()
    await interrupt()
    with pytest.raises(FakeError, match="blocks this host"):
        await log_in(driver)
    assert driver.interrupted == 3


@pytest.mark.every_loop
async def test_a_login_without_delay_takes_no_turn_of_the_loop():
    driver, _ = scenario(("n1", None, "ok"))
    with pytest.raises(StopIteration) as finished:
        log_in(driver).send(None)
    login = start(driver)
    eager = asyncio.get_running_loop().get_task_factory() is not None
    assert login.done() == eager
    driver.assert_only_open(finished.value.value, *([login.result()] if eager else ()))
    await login


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_a_login_of_one_turn_is_not_over_at_once_even_in_an_eager_task():
    async def main() -> bool:
        if sys.version_info >= (3, 12):
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        login = start(FakeDriver("n1"))
        over = login.done()
        await login
        return over

    assert run_virtual(main()) is False


async def test_the_books_list_what_is_open_and_what_was_dropped():
    driver, _ = scenario(("n1", 0, "ok"), ("n2", None, "silent"))
    kept = await log_in(driver)
    dropped = weakref.ref(await log_in(driver))
    login = start(driver, "n2")
    await asyncio.sleep(0)
    gc.collect()
    assert dropped() is None
    assert driver.open_connections == (kept,)
    assert driver.open == 2
    with pytest.raises(AssertionError) as caught:
        driver.assert_nothing_open()
    assert str(caught.value) == "<FakeConnection 1 n1 open> is open; n1: 1 dropped unclosed; n2: 1 logins under way"
    driver.terminate(kept)
    with pytest.raises(AssertionError, match="<FakeConnection 1 n1 terminated> should be open"):
        driver.assert_only_open(kept)
    assert repr(driver) == "<FakeDriver open=1, logins=1, servers=[n1, n2]>"
    login.cancel()
    await asyncio.wait({login})


async def test_a_dropped_connection_is_lost_with_its_server():
    driver = FakeDriver("n1")
    await log_in(driver)
    gc.collect()
    driver["n1"].kill()
    assert driver["n1"].lost == 1
    driver.assert_nothing_open()


async def test_statements_are_recorded_and_answered():
    driver = FakeDriver(FakeServer("n1", query_delay=0.5))
    conn = await log_in(driver)
    assert await conn.execute("SELECT 1") is None
    driver["n1"].on_execute = lambda conn, statement, args: (conn.id, statement, args)
    assert await conn.execute("SELECT $1", 7) == (1, "SELECT $1", (7,))
    assert (now(), driver["n1"].statements) == (1.0, ["SELECT 1", "SELECT $1"])


def test_urls_and_options_become_the_arguments_of_the_login():
    endpoint = FakeDriver().parse("fake://app:secret@n1:99/shop?charset=utf8&flag=1", {"flag": 2, "application_name": "x"})
    assert (endpoint.address, endpoint.password) == ("n1:99", "secret")
    assert dict(endpoint.arguments) == {
        "host": "n1",
        "port": 99,
        "user": "app",
        "database": "shop",
        "charset": "utf8",
        "flag": 3,
        "application_name": "x",
    }
    over = FakeDriver().override(endpoint, {"flag": 8, "charset": "latin1"})
    assert (over.arguments["flag"], over.arguments["charset"], over.password) == (11, "latin1", "secret")
    assert "secret" not in repr(over)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"chraset": "utf8"}, "did you mean 'charset'"), ({"host": "n2"}, "'host'"), ({"user": "root"}, "'user'")],
)
def test_wrong_options_of_one_connect_are_refused_by_name(options: dict[str, Any], message: str):
    driver = FakeDriver()
    with pytest.raises(ConfigError, match=message):
        driver.override(driver.parse("fake://n1/", {}), options)


@pytest.mark.parametrize("dsn", ["mysql://n1/", "fake://n1/?falg=1", "fake://n1/?flag=many"])
def test_wrong_urls_are_refused(dsn: str):
    with pytest.raises(ConfigError):
        FakeDriver().parse(dsn, {})


def test_a_misspelt_outcome_is_refused_at_once():
    with pytest.raises(ValueError, match="'refsued' is unknown"):
        scenario(("n1", 0, "refsued"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'refsued' is unknown"):
        FakeServer("n1").then(0, "refsued")  # type: ignore[arg-type]


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(FakeError(FailureKind.OVERLOADED, "full")))
    assert (error.kind, str(error)) == (FailureKind.OVERLOADED, "full")
