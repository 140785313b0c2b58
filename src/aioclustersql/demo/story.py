"""What happens in the demo: workers connect and write while a standby is killed, and the primary freezes and is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from ..cluster import Cluster
from ..errors import ClusterError, TransactionOutcomeUnknown
from ..events import Event
from .pgnode import PostgresNode
from .postgres import PostgresCluster
from .score import Score, headline, winner
from .show import View

__all__ = ["Story", "to_the_end"]

T = TypeVar("T")

_QUERY_TIMEOUT = 1.0
"""Seconds for SELECT and goodbye: on a node that freezes just then they would take for ever."""
_PAUSE = 0.005
_FRAME = 0.1
_PROMOTED_AFTER = 0.5
"""Seconds from the freeze of the primary to the promotion of a standby: what a failover manager would need, at its quickest."""


async def to_the_end(work: Callable[[], T]) -> T:
    """Run blocking work in a thread. When cancelled, wait for its end first: a half-started server is nobody's."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


class Story:
    """Races connects and runs writes over running servers for so many seconds and tells a view about it."""

    def __init__(self, servers: PostgresCluster, view: View, *, seconds: float, workers: int) -> None:
        self.score = Score()
        self._servers = servers
        self._view = view
        self._seconds = seconds
        self._workers = workers
        nodes = {node.name: node.dsn() for node in servers.nodes}
        self.cluster: Cluster[asyncpg.Connection[asyncpg.Record]] = Cluster(
            nodes, driver="asyncpg", name="demo", connect_timeout=5.0, run_timeout=10.0, close_timeout=0.5
        )
        self._ended = False
        self._start = 0.0

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._start

    async def play(self) -> None:
        """Play it to the end. Raises nothing for failed connects: the score counts them."""
        self._start = asyncio.get_running_loop().time()
        unsubscribe = self.cluster.subscribe(self._listen)
        try:
            await to_the_end(lambda: self._servers.primary.sql("create table demo (at timestamptz default now())"))
            async with self.cluster, asyncio.TaskGroup() as tasks:
                for number in range(self._workers):
                    tasks.create_task(self._on_and_on(self._connect_once), name=f"connects {number}")
                    tasks.create_task(self._on_and_on(self._write_once), name=f"writes {number}")
                tasks.create_task(self._draw(), name="screen")
                await self._direct()
                self._ended = True
        finally:
            unsubscribe()
            await self.cluster.close()

    async def _direct(self) -> None:
        first, second, third = self._servers.nodes
        self._say(
            f"{first.name} is the primary, {second.name} and {third.name} follow; {self._workers} workers each connect and write"
        )
        await self._until(0.15)
        self._say(f"{second.name} is killed")
        await to_the_end(second.kill9)
        await self._until(0.3)
        self._say(f"{first.name} freezes: it takes connections and never answers")
        await to_the_end(first.freeze)
        await asyncio.sleep(_PROMOTED_AFTER)
        self._say(f"{third.name} is promoted, {first.name} still frozen")
        await to_the_end(third.promote)
        await self._until(0.75)
        self._say(f"{first.name} thaws and takes itself for the primary, {second.name} is started again")
        await to_the_end(lambda: _bring_back(first, second))
        await self._until(1.0)

    async def _until(self, share: float) -> None:
        await asyncio.sleep(max(0.0, share * self._seconds - self._now()))

    async def _on_and_on(self, once: Callable[[], Awaitable[None]]) -> None:
        while not self._ended:
            await once()
            await asyncio.sleep(_PAUSE)

    async def _connect_once(self) -> None:
        start = self._now()
        try:
            connection = await self.cluster.connect(target="any")
        except ClusterError:
            self.score.connect_failed(self._now() - start)
            return
        self.score.connected(self._now() - start)
        try:
            async with asyncio.timeout(_QUERY_TIMEOUT):
                await connection.fetchval("select 1")
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # a TimeoutError is an OSError
            self.score.query_lost()
        finally:
            connection.terminate()

    async def _write_once(self) -> None:
        start = self._now()
        try:
            await self.cluster.run(_write)
        except TransactionOutcomeUnknown:
            self.score.outcome_unknown()
        except (ClusterError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.score.write_failed()
        else:
            self.score.wrote(self._now() - start)

    async def _draw(self) -> None:
        while not self._ended:
            self._view.draw(self._now(), self._seconds, self.cluster.stats(), self.score)
            await asyncio.sleep(_FRAME)

    def _listen(self, event: Event) -> None:
        if node := winner(event):
            self.score.won(node, self._now())
        elif news := headline(event):
            self._view.say(self._now(), news)

    def _say(self, text: str) -> None:
        self._view.say(self._now(), text, act=True)


async def _write(conn: asyncpg.Connection[asyncpg.Record]) -> None:
    await conn.execute("insert into demo default values")


def _bring_back(frozen: PostgresNode, killed: PostgresNode) -> None:
    frozen.thaw()
    killed.start()
