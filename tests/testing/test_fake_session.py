"""What the fake driver does with a connection after its login: exact times, true books, a session like a real one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aioclustersql.drivers.base import Driver, Observation, TransactionOptions
from aioclustersql.errors import ConfigError
from aioclustersql.failure import FailureKind
from aioclustersql.node import Isolation, Role
from aioclustersql.testing import FakeConnection, FakeDriver, FakeError, FakeServer, ResetAnswer

PLAIN = TransactionOptions()


def now() -> float:
    return asyncio.get_running_loop().time()


async def one(**attributes: Any) -> tuple[FakeDriver, FakeServer, FakeConnection]:
    """A driver, its only server, and a connection to it."""
    driver = FakeDriver(FakeServer("n1", None, **attributes))
    return driver, driver["n1"], await driver.connect(driver.parse("fake://app@n1/test", {}), None)


DOINGS: dict[str, Callable[[FakeDriver, FakeConnection], Awaitable[Any]]] = {
    "ping": lambda driver, conn: driver.ping(conn),
    "reset": lambda driver, conn: driver.reset(conn, None),
    "probe": lambda driver, conn: driver.probe(conn, causal=False),
    "begin": lambda driver, conn: driver.begin(conn, PLAIN),
}
every_doing = pytest.mark.parametrize("what", DOINGS)


async def test_each_takes_the_time_it_is_told():
    driver, server, conn = await one(ping_delay=0.25, reset_delay=0.5, probe_delay=1, causal_delay=2, query_delay=4)
    protocol: Driver[FakeConnection] = driver
    for doing, seconds in (
        (protocol.ping(conn), 0.25),
        (protocol.reset(conn, None), 0.5),
        (protocol.probe(conn, causal=False), 1),
        (protocol.probe(conn, causal=True), 3),
        (protocol.begin(conn, PLAIN), 4),
    ):
        before = now()
        await doing
        assert now() - before == seconds
    assert (server.pings, server.resets, server.probes, server.causal_probes) == (1, 1, 2, 1)


@every_doing
async def test_without_a_delay_none_takes_a_turn_of_the_loop(what: str):
    driver, _, conn = await one()
    with pytest.raises(StopIteration):
        DOINGS[what](driver, conn).__await__().send(None)


@every_doing
async def test_a_frozen_server_holds_it_until_it_thaws(what: str):
    driver, server, conn = await one()
    server.freeze()
    doing = asyncio.ensure_future(DOINGS[what](driver, conn))
    await asyncio.sleep(60)
    assert not doing.done()
    server.thaw()
    await doing
    assert now() == 60


@every_doing
async def test_a_server_that_dies_meanwhile_loses_the_session(what: str):
    driver, server, conn = await one(ping_delay=1, reset_delay=1, probe_delay=1, query_delay=1)
    doing = asyncio.ensure_future(DOINGS[what](driver, conn))
    await asyncio.sleep(0.5)
    server.kill()
    await asyncio.wait({doing})
    error = doing.exception()
    assert error is not None
    assert driver.classify(error) is FailureKind.SESSION_LOST
    assert (now(), driver.in_transaction(conn), driver.last_received(conn)) == (0.5, False, None)
    with pytest.raises(FakeError) as caught:
        await DOINGS[what](driver, conn)
    assert driver.classify(caught.value) is FailureKind.FOUND_CLOSED


async def test_a_transaction_is_statements_like_any_other():
    driver, server, conn = await one()
    outer = await driver.begin(conn, PLAIN)
    assert driver.in_transaction(conn)
    for end in ("commit", "rollback"):
        await getattr(await driver.begin(conn, PLAIN), end)()
    assert driver.in_transaction(conn)
    await outer.commit()
    assert not driver.in_transaction(conn)
    await (await driver.begin(conn, TransactionOptions(Isolation.SERIALIZABLE, readonly=True, deferrable=True))).rollback()
    assert not driver.in_transaction(conn)
    assert server.statements == [
        "BEGIN",
        *("SAVEPOINT s1", "RELEASE SAVEPOINT s1"),
        *("SAVEPOINT s2", "ROLLBACK TO SAVEPOINT s2"),
        "COMMIT",
        *("BEGIN ISOLATION LEVEL SERIALIZABLE DEFERRABLE READ ONLY", "ROLLBACK"),
    ]


async def test_a_savepoint_takes_no_options():
    driver, _, conn = await one()
    await driver.begin(conn, PLAIN)
    with pytest.raises(ConfigError, match="outer transaction"):
        await driver.begin(conn, TransactionOptions(readonly=True))


@pytest.mark.parametrize("role", [Role.STANDBY, Role.READ_ONLY])
async def test_a_server_that_takes_no_writes_refuses_to_begin_them(role: Role):
    driver, _, conn = await one(role=role)
    with pytest.raises(FakeError) as caught:
        await driver.begin(conn, PLAIN)
    assert driver.classify(caught.value) is FailureKind.ROLE_CHANGED
    assert not driver.in_transaction(conn)
    await driver.begin(conn, TransactionOptions(readonly=True))
    assert driver.in_transaction(conn)


async def test_a_commit_that_fails_has_ended_the_transaction():
    def conflict(_conn: FakeConnection, statement: str, _args: tuple[object, ...]) -> None:
        if statement == "COMMIT":
            raise FakeError(FailureKind.ROLLED_BACK, "conflict")

    driver, server, conn = await one()
    server.on_execute = conflict
    transaction = await driver.begin(conn, PLAIN)
    with pytest.raises(FakeError, match="conflict"):
        await transaction.commit()
    assert not driver.in_transaction(conn)


async def test_the_users_own_statements_begin_and_end_transactions_too():
    driver, _, conn = await one()
    for statement, inside in (
        ("start transaction read only;", True),
        ("ROLLBACK TO SAVEPOINT mine", True),
        ("commit;", False),
        ("BEGIN", True),
        ("ROLLBACK", False),
    ):
        await conn.execute(statement)
        assert driver.in_transaction(conn) is inside


async def test_a_reset_ends_the_transaction_and_restores_the_baseline():
    driver, _, conn = await one()
    await conn.execute("SET time_zone = 'UTC'")
    baseline = await driver.baseline(conn)
    await conn.execute("SET time_zone TO 'CET';")
    await conn.execute("SET search_path private")
    await driver.begin(conn, PLAIN)
    assert conn.session == {"time_zone": "'CET'", "search_path": "private"}
    await driver.reset(conn, baseline)
    assert (conn.session, driver.in_transaction(conn)) == ({"time_zone": "'UTC'"}, False)
    await driver.reset(conn, None)
    assert conn.session == {}


async def test_a_reset_without_a_task_is_answered_as_the_server_is_told():
    driver, server, conn = await one(reset_delay=1)
    answers: list[bool] = []
    assert not driver.begin_reset(conn, None, answers.append)
    ways: tuple[tuple[ResetAnswer, bool], ...] = (("usual", True), ("unusual", False))
    for server.reset_answer, expected in ways:
        await conn.execute("SET x 1")
        assert driver.begin_reset(conn, {"y": "2"}, answers.append)
        await asyncio.sleep(0.5)
        assert (answers, conn.session) == ([], {**conn.session, "x": "1"})
        await asyncio.sleep(1)
        assert (answers.pop(), conn.session == {"y": "2"}) == (expected, expected)
    await driver.finish_reset(conn, {"y": "2"})
    assert (conn.session, server.resets) == ({"y": "2"}, 2)


@pytest.mark.parametrize("answer", ["usual", "unusual"])
async def test_a_reset_without_a_task_is_told_that_its_connection_was_lost(answer: ResetAnswer):
    driver, server, conn = await one(reset_delay=1, reset_answer=answer)
    answers: list[bool] = []
    assert driver.begin_reset(conn, None, answers.append)
    server.kill()
    await asyncio.sleep(0)
    assert answers == [False]
    with pytest.raises(FakeError) as caught:
        await driver.finish_reset(conn, None)
    assert driver.classify(caught.value) is FailureKind.SESSION_LOST
    assert not driver.begin_reset(conn, None, answers.append)


async def test_a_probe_says_what_the_server_is_told():
    driver, server, conn = await one(role=Role.STANDBY, timeline=3, lag=None, lag_bytes=7)
    assert await driver.probe(conn, causal=False) == Observation(Role.STANDBY, timeline=3, lag=None, lag_bytes=7)
    server.degraded, server.cause = True, "donor"
    assert await driver.probe(conn, causal=False) == Observation(
        Role.STANDBY, degraded=True, cause="donor", timeline=3, lag=None, lag_bytes=7
    )


async def test_a_server_that_is_not_ready_answers_probes_and_resets_alone():
    driver, server, conn = await one()
    server.ready = False
    observed = await driver.probe(conn, causal=False)
    assert (observed.ready, observed.cause) == (False, "not ready")
    await driver.reset(conn, None)
    for what in ("ping", "begin"):
        with pytest.raises(FakeError) as caught:
            await DOINGS[what](driver, conn)
        assert driver.classify(caught.value) is FailureKind.NOT_READY


async def test_a_causal_probe_may_hang_where_a_plain_one_lies():
    driver, _, conn = await one(causal_delay=math.inf)
    assert (await driver.probe(conn, causal=False)).ready
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await driver.probe(conn, causal=True)


async def test_what_was_last_received_is_the_servers_last_answer_on_this_connection():
    driver, server, conn = await one(query_delay=0.5)
    other = await driver.connect(driver.parse("fake://app@n1/test", {}), None)
    await asyncio.sleep(2)
    assert driver.last_received(conn) == 2
    await conn.execute("SELECT 1")
    await asyncio.sleep(0.25)
    assert (driver.last_received(conn), driver.last_received(other)) == (0.25, 2.75)
    server.freeze()
    query = asyncio.create_task(conn.execute("SELECT 1"))
    await asyncio.sleep(10)
    assert driver.last_received(conn) == 10.25
    server.thaw()
    await query
    assert driver.last_received(conn) == 0
