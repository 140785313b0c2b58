"""A load on a cluster, and what became of each unit of it: when it began and ended, how, and on which node.

A unit is a write (`run`, one append), a read (`run`, read only) or a lease (`acquire` and one query, not retried by anybody).
Rule: nothing is judged while the load runs; tests ask the record afterwards.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aioclustersql import Cluster
from aioclustersql.errors import TransactionOutcomeUnknown
from aioclustersql.view import ClusterView
from tests.integration.store import Store

__all__ = ["Gauge", "Load", "Unit", "gauge", "load", "misplaced"]

Kind = Literal["write", "read", "lease"]


@dataclass(slots=True)
class Unit:
    """One unit of work. Times are the loop's; `tried` are the nodes that it was at work on, the last one last."""

    kind: Kind
    key: str
    began: float
    ended: float | None = None
    tried: list[str] = field(default_factory=list)
    error: BaseException | None = None

    def __repr__(self) -> str:
        took = "under way" if self.ended is None else f"{self.ended - self.began:.3f} s"
        where = "+".join(self.tried) or "no node"
        error = "" if self.error is None else " ".join([f", {self.error!r}", *getattr(self.error, "__notes__", ())])
        return f"<{self.kind} {self.key} on {where}, {took}: {self.outcome}{error}>"

    @property
    def outcome(self) -> Literal["under way", "ok", "unknown", "failed"]:
        """How it ended."""
        if self.ended is None:
            return "under way"
        if self.error is None:
            return "ok"
        return "unknown" if isinstance(self.error, TransactionOutcomeUnknown) else "failed"

    @property
    def node(self) -> str | None:
        """Where it was last."""
        return self.tried[-1] if self.tried else None

    @property
    def task(self) -> str:
        """Whose unit it is."""
        return self.key.partition(".")[0]


@dataclass(slots=True)
class Load:
    """Tasks that do units one after another, with a pause in between, until the load is over."""

    cluster: Cluster[Any]
    reader: ClusterView[Any]
    store: Store
    pause: float
    units: list[Unit] = field(default_factory=list)
    over: bool = False
    _rng: random.Random = field(default_factory=lambda: random.Random(1))

    async def work(self, kind: Kind, task: str) -> None:
        """One task's life."""
        loop, number = asyncio.get_running_loop(), 0
        doing: Callable[[Unit], Awaitable[None]] = {"write": self._write, "read": self._read, "lease": self._lease}[kind]
        while not self.over:
            number += 1
            unit = Unit(kind, f"{task}.{number}", loop.time())
            self.units.append(unit)
            try:
                await doing(unit)
            except Exception as error:  # noqa: BLE001 - it is what is recorded
                unit.error = error
            unit.ended = loop.time()
            await asyncio.sleep(self.pause * (0.5 + self._rng.random()))

    async def _write(self, unit: Unit) -> None:
        await self.cluster.run(self._append, unit)

    async def _read(self, unit: Unit) -> None:
        await self.reader.run(self._look, unit, readonly=True, idempotent=True)

    async def _lease(self, unit: Unit) -> None:
        async with self.reader.acquire() as conn:
            await self._look(conn, unit)

    async def _append(self, conn: Any, unit: Unit) -> None:
        unit.tried.append(self.cluster.node_of(conn))
        await self.store.append(conn, unit.key)

    async def _look(self, conn: Any, unit: Unit) -> None:
        unit.tried.append(self.cluster.node_of(conn))
        await self.store.read(conn)

    # -- what there is to be seen --------------------------------------------------------------------------------------

    def failed(self, *kinds: Kind) -> list[Unit]:
        """The units that failed otherwise than by an unknown outcome; of these kinds, or of all."""
        return [unit for unit in self.units if unit.outcome == "failed" and (not kinds or unit.kind in kinds)]

    def unknown(self) -> list[Unit]:
        """The units whose COMMIT was not answered."""
        return [unit for unit in self.units if unit.outcome == "unknown"]

    def longest(self, kind: Kind, since: float, until: float) -> tuple[float, Unit | None]:
        """For how many seconds the slowest unit of a kind took that ended after `since`, the clock stopped at `until`."""
        slowest, found = 0.0, None
        for unit in self.units:
            ended = until if unit.ended is None else min(unit.ended, until)
            if unit.kind == kind and ended > since and ended - unit.began > slowest:
                slowest, found = ended - unit.began, unit
        return slowest, found

    def first_ok(self, node: str, since: float) -> dict[str, float]:
        """When each task's first unit ended well on this node after that moment."""
        first: dict[str, float] = {}
        for unit in self.units:  # a task's are in order
            if unit.outcome == "ok" and unit.node == node and unit.ended is not None and unit.ended > since:
                first.setdefault(unit.task, unit.ended)
        return first


@asynccontextmanager
async def load(
    cluster: Cluster[Any],
    store: Store,
    *,
    writers: int = 0,
    readers: int = 0,
    leases: int = 0,
    pause: float = 0.03,
    reading: str | None = None,
) -> AsyncIterator[Load]:
    """So many tasks of each kind at work while the block runs; at its end each finishes its unit.

    `pause`: seconds between two units of a task, on average. `reading`: the target of reads and leases, if it is not the
    cluster's.
    """
    made = Load(cluster, cluster.with_options(target=reading), store, pause)
    kinds: Mapping[Kind, int] = {"write": writers, "read": readers, "lease": leases}
    async with asyncio.TaskGroup() as group:
        for kind, count in kinds.items():
            for number in range(count):
                group.create_task(made.work(kind, f"{kind}{number}"), name=f"load {kind}{number}")
        try:
            yield made
        finally:
            made.over = True


def misplaced(units: Iterable[Unit], found: Mapping[str, Counter[str]]) -> list[str]:
    """What is not as it has to be: every acknowledged append is there exactly once on all nodes, every failed one on none, and
    every unknown one at most once, on all nodes alike."""
    complaints = []
    for unit in units:
        if unit.kind != "write":
            continue
        counts = {node: keys[unit.key] for node, keys in found.items()}
        allowed = {"ok": {1}, "failed": {0}, "unknown": {0, 1}, "under way": set[int]()}[unit.outcome]
        if len(set(counts.values())) != 1 or not set(counts.values()) <= allowed:
            complaints.append(f"{unit!r} is there so often: {counts}")
    return complaints


@dataclass(slots=True)
class Gauge:
    """How long the writes of a client of its own took on a healthy node: the cluster's own stall, whoever asks."""

    began: float = float("inf")
    done: list[tuple[float, float]] = field(default_factory=list)
    over: bool = False

    def stall(self, since: float, until: float) -> float:
        """The longest write that ended after `since` and began before `until`; one that is under way counts so far."""
        writes = [(began, ended) for began, ended in self.done if ended > since and began < until]
        return max([until - self.began, *(min(ended, until) - began for began, ended in writes)])


@asynccontextmanager
async def gauge(conn: Any, store: Store) -> AsyncIterator[Gauge]:
    """Write every 5 ms on a connection of nobody's pool, with autocommit, while the block runs."""
    loop, made = asyncio.get_running_loop(), Gauge()

    async def write() -> None:
        number = 0
        while not made.over:
            number += 1
            made.began = loop.time()
            await store.append(conn, f"gauge.{number}")
            made.done.append((made.began, loop.time()))
            made.began = float("inf")
            await asyncio.sleep(0.005)

    task = asyncio.create_task(write(), name="gauge")
    try:
        yield made
    finally:
        made.over = True
        await task
