"""What the promises share: logins as a cluster makes them, a table, and a few limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aioclustersql.drivers.base import Driver, Endpoint, TasklessReset, TransactionOptions
from aioclustersql.failure import FailureKind
from aioclustersql.node import Target

from .stand import Stand

__all__ = [
    *("GONE", "LOST", "PLAIN", "SOON", "TABLE"),
    *("at", "commit", "finished", "ids", "login", "opened", "parsed", "reset", "table", "until", "value"),
]

PLAIN = TransactionOptions()
TABLE = "aioclustersql_suite"
LOST = frozenset({FailureKind.SESSION_LOST, FailureKind.FOUND_CLOSED})
GONE = LOST | {FailureKind.UNREACHABLE, FailureKind.INTERRUPTED}
"""What the end of a connection may be called."""
SOON = 2.0
"""Seconds: generous for what takes a millisecond, and far from what hangs."""


def parsed(stand: Stand) -> Endpoint:
    """The stand's URL and options."""
    return stand.driver.parse(stand.dsn, stand.options)


def at(stand: Stand, port: int) -> str:
    """The stand's URL with another port."""
    assert stand.dsn_at is not None, "Stand.dsn_at is needed"
    return stand.dsn_at(port)


async def login(stand: Stand, dsn: str | None = None, *, validated: bool = True) -> Any:
    """A connection as a cluster hands it out; without `validated`, as the driver makes it."""
    endpoint = stand.driver.parse(dsn or stand.dsn, stand.options)
    password = endpoint.password
    assert password is None or isinstance(password, str)
    conn = await stand.driver.connect(endpoint, password)
    if validated:
        try:
            await stand.driver.validate(conn, Target.ANY)
        except BaseException:
            stand.driver.terminate(conn)
            raise
    return conn


@asynccontextmanager
async def opened(stand: Stand) -> AsyncIterator[Any]:
    """A connection for a block."""
    conn = await login(stand)
    try:
        yield conn
    finally:
        await stand.driver.close(conn)


@asynccontextmanager
async def table(stand: Stand) -> AsyncIterator[None]:
    """An empty table for a block."""
    async with opened(stand) as conn:
        try:
            await stand.rows(conn, f"DROP TABLE {TABLE}")
            await commit(stand, conn)
        except Exception:  # noqa: BLE001 - there was none
            await stand.driver.reset(conn, None)
        await stand.rows(conn, f"CREATE TABLE {TABLE} (id INTEGER PRIMARY KEY)")
        await commit(stand, conn)
    try:
        yield
    finally:
        async with opened(stand) as conn:
            await stand.rows(conn, f"DROP TABLE {TABLE}")
            await commit(stand, conn)


async def reset(driver: Driver[Any], conn: Any, baseline: object) -> None:
    """As a pool resets a connection: without a task where the driver offers that and can."""
    answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    if not isinstance(driver, TasklessReset) or not driver.begin_reset(conn, baseline, answered.set_result):
        await driver.reset(conn, baseline)
    else:
        async with asyncio.timeout(SOON):
            as_usual = await answered
        if not as_usual:
            await driver.finish_reset(conn, baseline)


async def commit(stand: Stand, conn: Any) -> None:
    """Make last what was done where the autocommit mode is off."""
    if stand.driver.in_transaction(conn):
        await stand.rows(conn, "COMMIT")


async def value(stand: Stand, conn: Any, sql: str) -> Any:
    """The first value of the first row."""
    return (await stand.rows(conn, sql))[0][0]


async def ids(stand: Stand, conn: Any) -> list[Any]:
    """What is in the table, without a transaction that stays open."""
    found = [row[0] for row in await stand.rows(conn, f"SELECT id FROM {TABLE} ORDER BY id")]
    await commit(stand, conn)
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what comes soon."""
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.005)


async def finished(waiting: Awaitable[object]) -> None:
    """Wait for that, as a coroutine that a task can be made of."""
    await waiting
