"""Strangers who take all connections that a server has, and keep them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiomysql
import asyncpg

__all__ = ["CROWD", "Crowd"]

CROWD = "crowd"
"""What its sessions are called on PostgreSQL; on MariaDB they are those of the user `app`, whom nobody else is here."""

_HANDS = 4
_PAUSE = 0.005
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
        """Take every connection there is; from then on whatever comes free. Returns when the server has none left."""
        self._tasks = [asyncio.create_task(self._grab(), name="crowd") for _ in range(_HANDS)]
        async with asyncio.timeout(15):
            await self._full.wait()

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
                await asyncio.gather(*(conn.ensure_closed() if self._mysql else conn.close() for conn in held))

    async def _grab(self) -> None:
        while True:
            try:
                self._held.append(await self._login())
            except (_aiomysql.MySQLError, asyncpg.PostgresError, OSError):
                self._full.set()
                await asyncio.sleep(_PAUSE)

    async def _login(self) -> Any:
        if self._mysql:
            return await _aiomysql.connect(host=self._node.host, port=self._node.port, user="app", password="pw", db="test")
        settings = {"application_name": CROWD}
        return await asyncpg.connect(self._node.dsn("app"), timeout=5.0, server_settings=settings, ssl=False)
