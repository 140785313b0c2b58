"""A pool for the tests of transactions: it implements `Leases` over a `FakeDriver`, as simply as can be, and keeps account.

Nodes are tried in the order of their names, those to avoid last. Rule: a lease that came back with an open transaction is noted.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from aioclustersql.errors import AcquireTimeout
from aioclustersql.events import Event
from aioclustersql.failure import FailureKind
from aioclustersql.node import Target, Wants
from aioclustersql.runtime.beginning import Beginner, make_request
from aioclustersql.runtime.bus import Bus
from aioclustersql.runtime.lease import Lease
from aioclustersql.runtime.registry import Registry
from aioclustersql.runtime.transacting import Transacting
from aioclustersql.runtime.work import Runner, RunRequest
from aioclustersql.testing import FakeConnection, FakeDriver, FakeError

__all__ = ["FakeLease", "FakeLeases", "Stand", "fails", "stand"]

UNFIT = frozenset({FailureKind.SESSION_LOST, FailureKind.NOT_READY, FailureKind.FOUND_CLOSED, FailureKind.IDLE_CLOSED})
LOOK_AGAIN = 0.125


@dataclass(eq=False)
class FakeLease:
    """One connection on lease."""

    conn: FakeConnection
    node: str
    unfit: bool = False


class FakeLeases:
    """The pool. `unusable` nodes are not handed out."""

    def __init__(self, driver: FakeDriver) -> None:
        self.driver = driver
        self.unusable: set[str] = set()
        self.idle: list[FakeConnection] = []
        self.out: set[FakeLease] = set()
        self.handed_out: list[str] = []
        """The node of every lease, in order."""
        self.dirty: list[str] = []
        """Nodes whose leases came back open, in an open transaction."""
        self.reports: list[tuple[str, FailureKind]] = []
        """What `failed` was told."""

    async def acquire(self, wants: Wants, deadline: float, *, interrupt: bool, avoid: Collection[str] = ()) -> FakeLease:
        loop = asyncio.get_running_loop()
        while True:
            for name in sorted(self.driver.servers, key=lambda name: (name in avoid, name)):
                if name not in self.unusable and (lease := await self._lease(name)) is not None:
                    return lease
            if loop.time() >= deadline:
                raise AcquireTimeout("no node serves", {})
            await asyncio.sleep(min(LOOK_AGAIN, deadline - loop.time()))

    async def _lease(self, name: str) -> FakeLease | None:
        conn = next((conn for conn in self.idle if conn.server.name == name), None)
        if conn is not None:
            self.idle.remove(conn)
        else:
            try:
                conn = await self.driver.connect(self.driver.parse(f"fake://app@{name}/test", {}), None)
            except (OSError, FakeError):
                return None
        lease = FakeLease(conn, name)
        self.out.add(lease)
        self.handed_out.append(name)
        return lease

    def release(self, lease: Lease[FakeConnection]) -> None:
        assert isinstance(lease, FakeLease)
        self.out.remove(lease)
        if lease.unfit or lease.conn.closed:
            self.driver.terminate(lease.conn)
            return
        if lease.conn.in_transaction:
            self.dirty.append(lease.node)
            lease.conn.in_transaction = False
        self.idle.append(lease.conn)

    def discard(self, lease: Lease[FakeConnection]) -> None:
        assert isinstance(lease, FakeLease)
        self.out.remove(lease)
        self.driver.terminate(lease.conn)

    def failed(self, lease: Lease[FakeConnection], exc: BaseException) -> FailureKind:
        assert isinstance(lease, FakeLease)
        kind = self.driver.classify(exc)
        lease.unfit = lease.unfit or kind in UNFIT or lease.conn.closed
        self.reports.append((lease.node, kind))
        return kind

    def note(self, lease: Lease[FakeConnection], exc: BaseException) -> None:
        exc.add_note(f"node {lease.node}")

    async def close(self) -> None:
        """All is back by now, and goes."""
        assert not self.out, f"leases are out: {self.out}"
        while self.idle:
            self.driver.terminate(self.idle.pop())


class Half:
    """A random source that always draws the middle."""

    def random(self) -> float:
        return 0.5


class Stand:
    """Servers n1, n2, ... with a pool over them, and what `Cluster` makes of both."""

    def __init__(self, driver: FakeDriver) -> None:
        self.driver = driver
        self.pool = FakeLeases(driver)
        self.events: list[Event] = []
        bus = Bus("test")
        bus.subscribe(self.events.append)
        registry: Registry[FakeConnection] = Registry("test", driver, bus)
        registry.rng = Half()  # type: ignore[assignment]  # so that every pause is half of its most
        self.beginner: Beginner[FakeConnection] = Beginner(registry, self.pool)
        self.runner: Runner[FakeConnection] = Runner(self.beginner)

    def __getitem__(self, name: str) -> Any:
        return self.driver[name]

    async def run(self, work: Callable[..., Awaitable[Any]], *args: object, target: Target = Target.ANY, **how: Any) -> Any:
        """As `Cluster.run`."""
        begin = {key: how.pop(key) for key in ("isolation", "readonly", "deferrable") if key in how}
        request = RunRequest(make_request(Wants(target), **begin), **{"timeout": math.inf, **how})
        return await self.runner.run(request, work, *args)

    def transaction(
        self, conn: FakeConnection | None = None, *, target: Target = Target.ANY, timeout: float = math.inf, **begin: Any
    ) -> Transacting[FakeConnection]:
        """As `Cluster.transaction`."""
        return Transacting(self.beginner, make_request(Wants(target), **begin), timeout, conn)

    def statements(self) -> dict[str, list[str]]:
        """What each server was told."""
        return {server.name: server.statements for server in self.driver if server.statements}


def stand(*names: str) -> Stand:
    """A stand over servers of these names, which let in at once."""
    driver = FakeDriver(*names)
    for server in driver:
        server.delay = None
    return Stand(driver)


def fails(statement: str, *errors: FailureKind | Exception, then: Callable[[FakeConnection], object] | None = None) -> Any:
    """For `FakeServer.on_execute`: the first times a statement that begins so is answered with these errors."""
    left = list(errors)

    def on_execute(conn: FakeConnection, sent: str, args: tuple[object, ...]) -> None:
        if left and sent.startswith(statement):
            if then is not None:
                then(conn)
            error = left.pop(0)
            raise FakeError(error) if isinstance(error, FailureKind) else error

    return on_execute
