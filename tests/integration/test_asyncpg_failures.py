"""What real PostgreSQL failures look like through asyncpg, and that a cancelled login leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import asyncpg
import pytest

from aioclustersql.demo.postgres import PostgresCluster, PostgresNode, ServerTls
from aioclustersql.drivers.asyncpg import AsyncpgDriver
from aioclustersql.failure import FailureKind
from tests.servers.certificates import make_certificates

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

driver = AsyncpgDriver()


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Any:
    files = make_certificates(tmp_path_factory.mktemp("certificates"))
    with PostgresCluster(standbys=0, tls=ServerTls(files.cert, files.key, files.ca)) as cluster:
        yield cluster.primary


@contextlib.asynccontextmanager
async def connected(node: PostgresNode, **options: Any) -> AsyncIterator[asyncpg.Connection[Any]]:
    async with asyncio.timeout(20):
        conn = await login(node, **options)
        try:
            yield conn
        finally:
            driver.terminate(conn)


async def login(node: PostgresNode, **options: Any) -> asyncpg.Connection[Any]:
    return await driver.connect(driver.parse(node.dsn(), options), None)


async def kind_of(failing: Awaitable[object]) -> FailureKind:
    with pytest.raises(Exception) as caught:
        await failing
    return driver.classify(caught.value)


async def backend(conn: asyncpg.Connection[Any]) -> int:
    return int(await conn.fetchval("select pg_backend_pid()"))


async def sleeping(conn: asyncpg.Connection[Any]) -> asyncio.Task[object]:
    """A query under way on the server."""
    task: asyncio.Task[object] = asyncio.create_task(conn.execute("select pg_sleep(20)"))
    await asyncio.sleep(0.05)
    return task


async def wait_closed(conn: asyncpg.Connection[Any]) -> None:
    while not driver.is_closed(conn):
        await asyncio.sleep(0.005)


async def test_a_killed_session(postgres: PostgresCluster) -> None:
    node = postgres.primary
    async with connected(node) as conn:
        pid, query = await backend(conn), await sleeping(conn)
        await asyncio.to_thread(node.sql, f"select pg_terminate_backend({pid})")
        assert await kind_of(query) is FailureKind.SESSION_LOST
        assert driver.is_closed(conn)
    async with connected(node) as conn:
        pid = await backend(conn)
        await asyncio.to_thread(node.sql, f"select pg_terminate_backend({pid})")
        await wait_closed(conn)
        assert await kind_of(conn.fetchval("select 1")) is FailureKind.FOUND_CLOSED


async def test_a_cancelled_query_leaves_the_session(postgres: PostgresCluster) -> None:
    node = postgres.primary
    async with connected(node) as conn:
        pid, query = await backend(conn), await sleeping(conn)
        await asyncio.to_thread(node.sql, f"select pg_cancel_backend({pid})")
        assert await kind_of(query) is FailureKind.INTERRUPTED
        assert await conn.fetchval("select 1") == 1


async def test_a_killed_server(postgres: PostgresCluster) -> None:
    node = postgres.standbys[0]
    async with connected(node) as busy, connected(node) as idle:
        query = await sleeping(busy)
        await asyncio.to_thread(node.kill9)
        assert await kind_of(query) is FailureKind.SESSION_LOST
        await wait_closed(idle)
        assert await kind_of(idle.fetchval("select 1")) is FailureKind.FOUND_CLOSED
        assert await kind_of(login(node)) is FailureKind.UNREACHABLE


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_is_shut_down(postgres: PostgresCluster, mode: Any) -> None:
    node = postgres.standbys[0]
    async with connected(node) as busy:
        query = await sleeping(busy)
        await asyncio.to_thread(node.stop, mode)
        assert await kind_of(query) is FailureKind.SESSION_LOST


async def test_a_server_that_is_starting_up(postgres: PostgresCluster) -> None:
    node = postgres.standbys[0]
    await asyncio.to_thread(node.set, hot_standby="off")
    await asyncio.to_thread(node.stop)
    node.start(wait=False)
    kinds = {FailureKind.UNREACHABLE}
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:  # refused at first, then 57P03 for as long as it is a standby without hot_standby
        with pytest.raises((OSError, asyncpg.CannotConnectNowError)) as caught:
            await login(node)
        kinds.add(driver.classify(caught.value))
        if isinstance(caught.value, asyncpg.CannotConnectNowError):
            break
    assert kinds == {FailureKind.UNREACHABLE}
    assert isinstance(caught.value, asyncpg.CannotConnectNowError)


async def test_a_server_without_a_free_place(postgres: PostgresCluster) -> None:
    node = postgres.primary
    node.sql("create role crowded login connection limit 0")
    try:
        with pytest.raises(asyncpg.TooManyConnectionsError) as caught:
            await login(node, user="crowded")
        assert driver.classify(caught.value) is FailureKind.OVERLOADED
    finally:
        node.sql("drop role crowded")


async def test_a_frozen_server_is_silent_and_terminate_does_not_wait(postgres: PostgresCluster) -> None:
    node = postgres.standbys[0]
    conn = await login(node)
    node.freeze()
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.1):
            await login(node)
    assert driver.classify(caught.value) is FailureKind.TIMEOUT
    before = time.monotonic()
    driver.terminate(conn)
    driver.terminate(conn)
    assert time.monotonic() - before < 0.1
    assert driver.is_closed(conn)


async def test_writes_on_a_standby(postgres: PostgresCluster) -> None:
    async with connected(postgres.standbys[0]) as conn:
        assert await kind_of(conn.execute("create table forbidden ()")) is FailureKind.ROLE_CHANGED
        assert await kind_of(conn.execute("begin read write")) is FailureKind.ROLE_CHANGED
        assert not driver.is_closed(conn)


async def test_what_the_server_ends_by_its_own_clocks(postgres: PostgresCluster) -> None:
    node = postgres.primary
    async with connected(node, statement_timeout="50ms") as conn:
        assert await kind_of(conn.execute("select pg_sleep(20)")) is FailureKind.INTERRUPTED
    async with connected(node, idle_in_transaction_session_timeout="50ms") as conn:
        await conn.execute("begin")
        await wait_closed(conn)
        assert await kind_of(conn.execute("select 1")) is FailureKind.FOUND_CLOSED


async def test_conflicts_between_transactions(postgres: PostgresCluster) -> None:
    node = postgres.primary
    node.sql("create table conflicts as select i, 0 as n from generate_series(1, 2) i")
    try:
        async with connected(node) as one, connected(node) as two:
            for conn in (one, two):
                await conn.execute("begin isolation level repeatable read")
                await conn.fetch("select * from conflicts")
            await one.execute("update conflicts set n = 1; commit")
            assert await kind_of(two.execute("update conflicts set n = 2")) is FailureKind.ROLLED_BACK
            await two.execute("rollback")
            assert await kind_of(two.execute("begin; select nothing from conflicts")) is FailureKind.OTHER
    finally:
        node.sql("drop table conflicts")


async def test_a_cached_statement_that_no_longer_fits(postgres: PostgresCluster) -> None:
    node = postgres.primary
    node.sql("create table migrated (a int)")
    try:
        async with connected(node) as conn, conn.transaction():
            await conn.fetch("select * from migrated")
            await conn.execute("alter table migrated add b int")
            assert await kind_of(conn.fetch("select * from migrated")) is FailureKind.STALE_PLAN
    finally:
        node.sql("drop table migrated")


@pytest.mark.every_loop
@pytest.mark.parametrize("mode", ["prefer", "require", "disable", "verify-full", "prefer-with-certificate"])
async def test_a_login_cancelled_at_any_step_leaves_nothing(tmp_path: Any, secure: PostgresNode, mode: str) -> None:
    # The guard around each test fails it for an exception that nobody looked at, asyncpg's "unexpected connection_lost()".
    query = f"sslmode={mode}"
    if mode == "prefer-with-certificate":
        files = make_certificates(tmp_path)
        query = f"sslmode=prefer&sslcert={files.cert}&sslkey={files.key}"
    endpoint = driver.parse(f"{secure.dsn()}?{query}", {})
    for step in (*range(30), *range(30, 200, 17)):
        task = asyncio.create_task(driver.connect(endpoint, None))
        for _ in range(step):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            driver.terminate(task.result())
