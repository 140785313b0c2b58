"""A pool for the tests of transactions: it implements `Leases` over any driver, as simply as can be, and keeps account.

Nodes are tried in the order of their names, those to avoid last. Rule: a lease that came back with an open transaction is noted.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aioclustersql.drivers.base import Driver
from aioclustersql.errors import AcquireTimeout
from aioclustersql.events import Event
from aioclustersql.failure import FailureKind
from aioclustersql.node import Target, Wants
from aioclustersql.policy.retry import RetryBudget
from aioclustersql.runtime.beginning import Beginner, make_request
from aioclustersql.runtime.bus import Bus
from aioclustersql.runtime.registry import Registry
from aioclustersql.runtime.transacting import Transacting
from aioclustersql.runtime.work import Runner, RunRequest
from aioclustersql.testing import FakeConnection, FakeDriver, FakeError, FakeServer

__all__ = ["SimpleLease", "SimpleLeases", "Stand", "Units", "fails", "stand"]

UNFIT = frozenset({FailureKind.SESSION_LOST, FailureKind.NOT_READY, FailureKind.FOUND_CLOSED, FailureKind.IDLE_CLOSED})
LOOK_AGAIN = 0.125

C = TypeVar("C")


@dataclass(eq=False)
class SimpleLease(Generic[C]):
    """One connection on lease."""

    conn: C
    node: str
    unfit: bool = False


class SimpleLeases(Generic[C]):
    """The pool, over the nodes of these names and URLs. Nothing is reset."""

    def __init__(self, driver: Driver[C], urls: Mapping[str, str]) -> None:
        self.driver = driver
        self.urls = urls
        self.idle: list[SimpleLease[C]] = []
        self.out: set[SimpleLease[C]] = set()
        self.handed_out: list[str] = []
        """The node of every lease, in order."""
        self.dirty: list[str] = []
        """Nodes whose leases came back open, in an open transaction."""
        self.reports: list[tuple[str, FailureKind]] = []
        """What `failed` was told."""

    async def acquire(self, wants: Wants, deadline: float, *, interrupt: bool, avoid: Collection[str] = ()) -> SimpleLease[C]:
        loop = asyncio.get_running_loop()
        while True:
            for name in sorted(self.urls, key=lambda name: (name in avoid, name)):
                if (lease := await self._lease(name)) is not None:
                    return lease
            if loop.time() >= deadline:
                raise AcquireTimeout("no node serves", {})
            await asyncio.sleep(min(LOOK_AGAIN, deadline - loop.time()))

    async def _lease(self, name: str) -> SimpleLease[C] | None:
        lease = next((lease for lease in self.idle if lease.node == name), None)
        if lease is not None:
            self.idle.remove(lease)
        else:
            endpoint = self.driver.parse(self.urls[name], {})
            assert not callable(endpoint.password)
            try:
                lease = SimpleLease(await self.driver.connect(endpoint, endpoint.password), name)
            except Exception:  # noqa: BLE001 - whatever it is, another node may serve
                return None
        self.out.add(lease)
        self.handed_out.append(name)
        return lease

    def release(self, lease: SimpleLease[C]) -> None:
        self.out.remove(lease)
        open_ = not self.driver.is_closed(lease.conn)
        if open_ and not lease.unfit and self.driver.in_transaction(lease.conn):
            self.dirty.append(lease.node)
        if open_ and not lease.unfit and lease.node not in self.dirty:
            self.idle.append(lease)
        else:
            self.driver.terminate(lease.conn)

    def discard(self, lease: SimpleLease[C]) -> None:
        self.out.remove(lease)
        self.driver.terminate(lease.conn)

    def failed(self, lease: SimpleLease[C], exc: BaseException) -> FailureKind:
        kind = self.driver.classify(exc)
        lease.unfit = lease.unfit or kind in UNFIT or self.driver.is_closed(lease.conn)
        self.reports.append((lease.node, kind))
        return kind

    def note(self, lease: SimpleLease[C], exc: BaseException) -> None:
        exc.add_note(f"node {lease.node}")

    async def close(self) -> None:
        """All is back by now, and goes."""
        assert not self.out, f"leases are out: {self.out}"
        while self.idle:
            self.driver.terminate(self.idle.pop().conn)


class Half:
    """A random source that always draws the middle."""

    def random(self) -> float:
        return 0.5


class Units(Generic[C]):
    """What `Cluster` will make of a pool: `run` and `transaction`."""

    def __init__(self, driver: Driver[C], urls: Mapping[str, str]) -> None:
        self.pool = SimpleLeases(driver, urls)
        self.events: list[Event] = []
        bus = Bus("test")
        bus.subscribe(self.events.append)
        self.registry: Registry[C] = Registry("test", driver, bus)
        self.beginner: Beginner[C] = Beginner(self.registry, self.pool)
        self.runner: Runner[C] = Runner(self.beginner, RetryBudget())

    async def run(self, work: Callable[..., Awaitable[Any]], *args: object, target: Target = Target.ANY, **how: Any) -> Any:
        """As `Cluster.run`."""
        begin = {key: how.pop(key) for key in ("isolation", "readonly", "deferrable") if key in how}
        request = RunRequest(make_request(Wants(target), **begin), **{"timeout": math.inf, **how})
        return await self.runner.run(request, work, *args)

    def transaction(
        self, conn: C | None = None, *, target: Target = Target.ANY, timeout: float = math.inf, **begin: Any
    ) -> Transacting[C]:
        """As `Cluster.transaction`."""
        return Transacting(self.beginner, make_request(Wants(target), **begin), timeout, conn)


class Stand(Units[FakeConnection]):
    """The same over fake servers, each pause half of its most."""

    def __init__(self, driver: FakeDriver) -> None:
        super().__init__(driver, {server.name: f"fake://app@{server.name}/test" for server in driver})
        self.driver = driver
        self.registry.rng = Half()  # type: ignore[assignment]

    def __getitem__(self, name: str) -> FakeServer:
        return self.driver[name]

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
