"""Our own ways: a unit that is run again (`run`), a block in a transaction, a pooled connection, a connection for each unit.

Rule: the cluster's defaults, but for autocommit on MariaDB, without which a read would leave a transaction open.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

from aioclustersql import Cluster, drivers
from aioclustersql.errors import AllNodesFailed, ClusterError, TransactionOutcomeUnknown
from aioclustersql.events import Event, HealthChanged
from aioclustersql.node import Health
from aioclustersql.policy.retry import Action, Phase, action
from chaos.statements import DRIVERS, STATEMENTS

__all__ = ["Acquire", "Connect", "Ours", "Run", "Transaction", "TunedAcquire"]


class Ours(ABC):
    """What the four ways share: the cluster, and what it tells of its nodes."""

    name: str
    alone = False
    """Whether a statement that gets no answer may have been carried out: it is its own COMMIT."""

    def __init__(self, engine: str, driver: str | None = None) -> None:
        if driver is not None:
            self.name = f"{self.name}, {driver}"
        self._statements = STATEMENTS[driver or DRIVERS[engine]]
        self._driver = drivers.by_name(driver or DRIVERS[engine])
        self._options: dict[str, Any] = {"autocommit": True} if engine == "galera" else {}
        self._reads = "any" if engine == "galera" else "prefer-standby"
        self._unwell: list[tuple[str, float]] = []

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        self.use(Cluster(urls, driver=self._driver, connect_options=self._options), table)
        await self.cluster.open()

    def use(self, cluster: Cluster[Any], table: str) -> Self:
        """Work with somebody else's cluster."""
        self.cluster = cluster
        self._table = table
        self._reader = cluster.with_options(target=self._reads)
        cluster.subscribe(self._listen)
        return self

    @abstractmethod
    async def append(self, key: str) -> None:
        """As this way does it."""

    @abstractmethod
    async def read(self) -> None:
        """As this way does it."""

    def unknown(self, error: BaseException) -> bool:
        if isinstance(error, ClusterError):
            return isinstance(error, TransactionOutcomeUnknown)
        return self.alone and action(self._driver.classify(error), Phase.COMMITTING, lost=True) is Action.UNKNOWN

    def explained(self, error: BaseException) -> bool:
        """Whether an error is what the documentation says that this way's user sees of a node that goes away."""
        return isinstance(error, TransactionOutcomeUnknown) or (
            not isinstance(error, ClusterError)
            and action(self._driver.classify(error), Phase.WORKING) in (Action.ELSEWHERE, Action.AGAIN, Action.RECONNECT)
        )

    def detected(self, node: str, since: float) -> float | None:
        """Seconds from that moment of the loop's until the node was taken for anything but well."""
        return next((at - since for name, at in self._unwell if name == node and at >= since), None)

    async def close(self) -> None:
        await self.cluster.close()

    def _listen(self, event: Event) -> None:
        if isinstance(event, HealthChanged) and event.new is not Health.UP:
            self._unwell.append((event.node, asyncio.get_running_loop().time()))

    async def _append(self, conn: Any, key: str) -> None:
        await self._statements.append(conn, self._table, key)

    async def _read(self, conn: Any) -> None:
        await self._statements.read(conn, self._table)


class Run(Ours):
    """`run`: the whole unit again where that does no harm."""

    name = "aioclustersql run"

    async def append(self, key: str) -> None:
        await self.cluster.run(self._append, key)

    async def read(self) -> None:
        await self._reader.run(self._read, readonly=True)

    def explained(self, error: BaseException) -> bool:
        """Nothing but an unknown outcome."""
        return isinstance(error, TransactionOutcomeUnknown)


class Transaction(Ours):
    """`transaction`: a block with BEGIN and COMMIT, run once."""

    name = "aioclustersql transaction"

    async def append(self, key: str) -> None:
        async with self.cluster.transaction() as conn:
            await self._append(conn, key)

    async def read(self) -> None:
        async with self._reader.transaction(readonly=True) as conn:
            await self._read(conn)


class Acquire(Ours):
    """`acquire`: a pooled connection and one statement, which is its own transaction."""

    name = "aioclustersql acquire"
    alone = True

    async def append(self, key: str) -> None:
        async with self.cluster.acquire() as conn:
            await self._append(conn, key)

    async def read(self) -> None:
        async with self._reader.acquire() as conn:
            await self._read(conn)


class TunedAcquire(Acquire):
    """`acquire` with a second for all of it, as the peers that are called tuned have: then rather an error."""

    name = "aioclustersql acquire, tuned"

    async def append(self, key: str) -> None:
        async with asyncio.timeout(1.0):
            await super().append(key)

    async def read(self) -> None:
        async with asyncio.timeout(1.0):
            await super().read()

    def unknown(self, error: BaseException) -> bool:
        return isinstance(error, TimeoutError) or super().unknown(error)

    def explained(self, error: BaseException) -> bool:
        """Also that the second is over."""
        return isinstance(error, TimeoutError) or super().explained(error)


class Connect(Ours):
    """`connect`: no pool, a login for each unit."""

    name = "aioclustersql connect"
    alone = True

    async def append(self, key: str) -> None:
        async with self.cluster.connect() as conn:
            await self._append(conn, key)

    async def read(self) -> None:
        async with self._reader.connect() as conn:
            await self._read(conn)

    def explained(self, error: BaseException) -> bool:
        """Also that no node serves just now: `connect` does not wait for one unless it is told to."""
        return isinstance(error, AllNodesFailed) or super().explained(error)
