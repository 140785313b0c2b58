"""Strangers who take all connections that a server has, and keep them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import aiomysql
import asyncpg

__all__ = ["MYSQL", "POSTGRES", "Crowd"]


@dataclass(frozen=True, slots=True)
class Others:
    """Statements about the sessions of the clients, who are not the crowd."""

    count: str
    kill: str


_CROWD = "crowd"
"""What its sessions are called on PostgreSQL; on MariaDB they are those of the user `app`, whom nobody else is here."""
_CLIENTS = f"from pg_stat_activity where usename = 'app' and application_name <> '{_CROWD}'"
POSTGRES = Others(f"select count(*) {_CLIENTS}", f"select pg_terminate_backend(pid) {_CLIENTS}")
MYSQL = Others("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'plain'", "KILL CONNECTION USER plain")

_HANDS = 4
_PAUSE = 0.005
_LET_IN, _LOOKS = 0.03, 3
"""Seconds that it has for what is free when the clients are thrown out; so often in a row none of them may be there then, for a
login that is under way shows only when it is done."""
_aiomysql: Any = aiomysql


class Crowd:
    """`come` fills a node, `leave` empties it."""

    def __init__(self, node: Any, *, mysql: bool) -> None:
        self._node = node
        self._mysql = mysql
        self._held: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._full = asyncio.Event()

    async def come(self) -> None:
        """Take every connection there is, and those of the clients, who are thrown out; from then on whatever comes free. Returns
        when nobody else has one.
        """
        root = await self._root()  # while there is room
        self._held.append(root)  # who leaves makes room
        self._tasks = [asyncio.create_task(self._grab(), name="crowd") for _ in range(_HANDS)]
        async with asyncio.timeout(15):
            await self._full.wait()
            await self._throw_out(root)

    async def leave(self) -> None:
        """Give all of them back."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()
        held, self._held = self._held, []
        async with asyncio.timeout(10):
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.gather(*(self._close(conn) for conn in held))

    async def _grab(self) -> None:
        while True:
            try:
                self._held.append(await self._login())
            except (_aiomysql.MySQLError, asyncpg.PostgresError, OSError):
                self._full.set()
                await asyncio.sleep(_PAUSE)

    async def _throw_out(self, root: Any) -> None:
        alone = 0
        while alone < _LOOKS:
            if self._mysql:
                async with root.cursor() as cursor:
                    await cursor.execute(MYSQL.kill)
                    await asyncio.sleep(_LET_IN)
                    await cursor.execute(MYSQL.count)
                    ((others,),) = await cursor.fetchall()
            else:
                await root.execute(POSTGRES.kill)
                await asyncio.sleep(_LET_IN)
                others = await root.fetchval(POSTGRES.count)
            alone = 0 if others else alone + 1

    async def _root(self) -> Any:
        if self._mysql:
            return await _aiomysql.connect(host=self._node.host, port=self._node.port, user="root", db="test")
        return await asyncpg.connect(self._node.dsn(database="template1"), timeout=5.0, ssl=False)

    async def _close(self, conn: Any) -> None:
        await (conn.ensure_closed() if self._mysql else conn.close())

    async def _login(self) -> Any:
        if self._mysql:
            return await _aiomysql.connect(host=self._node.host, port=self._node.port, user="app", password="pw", db="test")
        settings = {"application_name": _CROWD}
        return await asyncpg.connect(self._node.dsn("app"), timeout=5.0, server_settings=settings, ssl=False)
