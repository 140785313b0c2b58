"""Clients of its own, by the raw driver, on a node that nothing befalls: the cluster's own stalls, and the cluster's own losses.

Rule: whatever it suffers too is not the measured library's doing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiomysql
import asyncpg

from chaos.load import Kind, Unit
from chaos.statements import DRIVERS, STATEMENTS
from chaos.store import Store

__all__ = ["Direct", "Gauge", "gauge"]

_PAUSE = 0.005
_aiomysql: Any = aiomysql
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, _aiomysql.MySQLError)


@dataclass(slots=True)
class Direct:
    """Writes or reads on one node, one unit after another, with autocommit, and logs in again when that fails."""

    store: Store
    node: Any
    kind: Kind = "write"
    units: list[Unit] = field(default_factory=list)
    logins: list[tuple[float, float]] = field(default_factory=list)
    over: bool = False
    _conn: Any = None
    _task: asyncio.Task[None] | None = None

    def stall(self, since: float, until: float) -> float:
        """Seconds: the longest unit that ended after `since` and began before `until`; one that is under way counts so far.

        On Galera, where nothing befalls this node, also the longest time from a unit that failed to the end of the next that did
        not. On PostgreSQL it is the primary, and may well be down.
        """
        counts_failures = self.store.engine.name == "galera"
        spans: list[tuple[float, float]] = []
        failing: float | None = None
        for unit in self.units:
            began = unit.began if failing is None else failing
            ended = until if unit.ended is None else min(unit.ended, until)
            failing = began if counts_failures and unit.error is not None else None
            spans.append((began, ended))
        if failing is not None:
            spans.append((failing, until))
        return max((ended - began for began, ended in spans if ended > since and began < until), default=0.0)

    def login(self, since: float, until: float) -> float:
        """Seconds: the longest login that ended between these moments."""
        return max((ended - began for began, ended in self.logins if since < ended < until), default=0.0)

    async def move(self, node: Any) -> None:
        """Go on on this node. What hung on the other one is given up: its outcome is unknown."""
        await self._stop()
        self.node = node
        self.start()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._work(), name="gauge")

    async def _work(self) -> None:
        loop, statements = asyncio.get_running_loop(), STATEMENTS[DRIVERS[self.store.engine.name]]
        while not self.over:
            unit = Unit(self.kind, f"gauge.{len(self.units) + 1}", loop.time())
            try:
                if self._conn is None:
                    self._conn = await self._login()
                    self.logins.append((unit.began, loop.time()))
                    unit.began = loop.time()
                self.units.append(unit)
                if self.kind == "write":
                    await statements.append(self._conn, self.store.name, unit.key)
                else:
                    await statements.read(self._conn, self.store.name)
            except _LOST as error:
                unit.error, unit.unknown = error, self.kind == "write"
                await self._leave()
            unit.ended = loop.time()
            await asyncio.sleep(_PAUSE)

    async def _login(self) -> Any:
        if self.store.engine.name == "galera":
            port: int = self.node.port
            return await _aiomysql.connect(host=self.node.host, port=port, user="root", db="test", autocommit=True)
        return await asyncpg.connect(self.node.dsn(), timeout=5.0)

    async def _leave(self) -> None:
        """Log out, so that the server counts nobody who was cut off."""
        if self._conn is None:
            return
        with suppress(*_LOST, TimeoutError):
            async with asyncio.timeout(2.0):
                await (self._conn.ensure_closed() if self.store.engine.name == "galera" else self._conn.close())
                self._conn = None
        self._drop()

    def _drop(self) -> None:
        if self._conn is not None:
            (self._conn.close if self.store.engine.name == "galera" else self._conn.terminate)()
            self._conn = None

    async def finish(self) -> None:
        """Let the unit under way end, and log out."""
        self.over = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=2.0)
        if self._task is not None and self._task.done():
            await self._leave()
        await self._stop()

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()
        for unit in self.units[-1:]:
            if unit.ended is None:
                unit.ended, unit.error, unit.unknown = asyncio.get_running_loop().time(), ConnectionAbortedError(), True
        self._drop()


class Gauge:
    """One that writes and one that reads, always on the same node."""

    def __init__(self, store: Store, node: Any) -> None:
        self.writer, self.reader = Direct(store, node), Direct(store, node, "read")

    @property
    def node(self) -> Any:
        """Where they are."""
        return self.writer.node

    async def move(self, node: Any) -> None:
        """As `Direct.move`."""
        await asyncio.gather(self.writer.move(node), self.reader.move(node))


@asynccontextmanager
async def gauge(store: Store, node: Any) -> AsyncIterator[Gauge]:
    """Write and read every 5 ms on this node while the block runs."""
    made = Gauge(store, node)
    both = (made.writer, made.reader)
    for each in both:
        each.start()
    try:
        yield made
    finally:
        await asyncio.gather(*(each.finish() for each in both))
