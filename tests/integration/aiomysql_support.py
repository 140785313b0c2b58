"""Connections of the aiomysql driver, and of asyncmy's, as its tests open them: without a cluster."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiomysql
import asyncmy.errors
import pytest

from aioclustersql.drivers.aiomysql import AiomysqlDriver
from aioclustersql.drivers.asyncmy import AsyncmyDriver
from aioclustersql.failure import FailureKind
from aioclustersql.node import Target
from tests.servers.proxy import Proxy

DRIVER = AiomysqlDriver()
BOTH = pytest.mark.parametrize("driver", [DRIVER, AsyncmyDriver()], ids=lambda driver: driver.name)
"""What is the package's own part in a login, asyncmy's as well; what both keep is in test_driver_suite."""


@contextlib.asynccontextmanager
async def opened(dsn: str, *, ready: bool = True, driver: Any = DRIVER, **options) -> AsyncIterator[Any]:
    """A connection as the cluster hands it out; not `ready`: before it was validated."""
    endpoint = driver.parse(dsn, options)
    password = endpoint.password
    assert password is None or isinstance(password, str)
    conn = await driver.connect(endpoint, password)
    try:
        if ready:
            await driver.validate(conn, Target.ANY)
        yield conn
    finally:
        await driver.close(conn)


async def settled(link: Proxy) -> None:
    """Wait until the proxy has noticed the end of its connections."""
    async with asyncio.timeout(5):
        while any(task.get_name() == f"proxy {link.port}" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)


async def as_usual(conn: aiomysql.Connection, after: Callable[[], object] = lambda: None) -> bool | None:
    """The answer to a reset without a task; `None`: it takes one. `after` is done once it is begun."""
    answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    if not DRIVER.begin_reset(conn, None, answered.set_result):
        return None
    after()
    async with asyncio.timeout(5):
        return await answered


async def one(conn: Any, sql: str):
    async with conn.cursor() as cursor:
        await cursor.execute(sql)
        return (await cursor.fetchone())[0]


async def failure(dsn: str, *, driver: Any = DRIVER, **options) -> tuple[BaseException, FailureKind]:
    with pytest.raises((aiomysql.Error, asyncmy.errors.Error, OSError)) as caught:
        async with opened(dsn, driver=driver, **options):
            pass
    return caught.value, driver.classify(caught.value)
