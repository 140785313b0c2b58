"""All that runs for one cluster: its connector always, its pool and its monitor from `open` to `close`. Wiring only."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from typing import Generic, TypeVar

from ..errors import NotOpen, ReadyTimeout, WrongLoop
from ..node import Role, Wants
from ..policy.ledger import Limits
from ..policy.ranking import Fit
from ..policy.retry import RetryBudget
from .beginning import Beginner
from .connector import Connector
from .hooks import NoHooks
from .lease import NoLeases
from .member import Member
from .monitor import Monitor
from .pool import Pool
from .process import forked, guard, register
from .registry import Registry
from .settings import Settings
from .work import Runner

__all__ = ["Engine"]

C = TypeVar("C")


class Engine(Generic[C]):
    """What a cluster and its views share."""

    def __init__(self, registry: Registry[C], settings: Settings[C]) -> None:
        self.registry = registry
        self.settings = settings
        self.connector: Connector[C] = Connector(registry, stagger=settings.stagger, init=settings.pool.init)
        self.limits = settings.limits
        self.budget = RetryBudget()
        self._pool: Pool[C] | None = None
        self._runner: Runner[C] | None = None
        self._monitor: Monitor[C] | None = None
        self._guard: AsyncGenerator[None, None] | None = None
        self._parents: tuple[object, ...] | None = None
        """In the child of a fork: what is the parent's."""
        self.is_open = False
        register(self)

    @property
    def pool(self) -> Pool[C] | None:
        """The pool while the cluster is open."""
        return self._pool

    def pool_here(self) -> Pool[C]:
        """The pool, for a caller in its event loop. Raises `NotOpen`, `WrongLoop`."""
        pool = self._pool
        if pool is None:
            self._refuse_forked()
            raise NotOpen(f"cluster {self.registry.cluster!r} is not open: enter it (async with cluster), or await its open()")
        if pool.loop is not asyncio.get_running_loop():
            raise WrongLoop(
                f"cluster {self.registry.cluster!r} is in use in another event loop; close it there, or make one cluster per loop"
            )
        return pool

    @property
    def beginner(self) -> Beginner[C]:
        """What begins transactions on connections that the caller has."""
        return Beginner(self.registry, NoLeases(self.registry.cluster)) if self._runner is None else self._runner.beginner

    def runner_here(self) -> Runner[C]:
        """What runs units of work on pooled connections, for a caller in its event loop. Raises `NotOpen`, `WrongLoop`."""
        self.pool_here()
        assert self._runner is not None  # noqa: S101 - it comes and goes with the pool
        return self._runner

    async def open(self) -> None:
        """Begin to keep a pool and a monitor in this loop. Waits for no server. Open already: nothing happens."""
        self.connector.bind(in_use=self.is_open)
        if self._pool is not None and not self._pool.loop.is_closed():
            if self._pool.is_closing:
                raise NotOpen(f"cluster {self.registry.cluster!r} is being closed")
            return
        registry, settings, loop = self.registry, self.settings, asyncio.get_running_loop()
        self.is_open = True
        self._pool = Pool(registry, self.connector.disposal, settings.pool, loop, self.limits)
        self._runner = Runner(Beginner(registry, self._pool), self.budget)
        registry.hooks = self._pool.follower
        self.connector.disposal.adopt = self._pool.adopter.adopt
        if settings.monitor_interval is not None:
            self._monitor = Monitor(
                registry,
                self.connector.disposal,
                interval=settings.monitor_interval,
                timeout=settings.monitor_timeout,
                target=settings.pool.target,
            )
            self._monitor.start(loop)
        self._pool.start()
        self._guard = guard(self)
        await anext(self._guard)

    async def close(self, timeout: float) -> None:
        """Let leases end within so many seconds, interrupt the others, and leave nothing under way."""
        self._refuse_forked()
        if self._pool is not None and not self._pool.loop.is_closed():
            self.pool_here()  # raises in another loop
        pool, monitor, loop = self._pool, self._monitor, asyncio.get_running_loop()
        deadline = loop.time() + timeout
        in_use, self.is_open = self.is_open, False
        guarding, self._guard = self._guard, None
        try:
            if pool is not None and not pool.loop.is_closed():
                await pool.stop(deadline)
        finally:
            self._pool = self._runner = self._monitor = None
            self.registry.hooks = NoHooks()
            self.connector.disposal.adopt = None
            if monitor is not None and pool is not None and not pool.loop.is_closed():
                await monitor.stop(max(0.0, deadline - loop.time()))
            await self.connector.close(max(0.0, deadline - loop.time()), in_use=in_use)
            if guarding is not None:
                await guarding.aclose()

    async def close_unasked(self, timeout: float) -> str:
        """As `Guarded.close_unasked`."""
        self._guard = None  # it is what calls this
        await self.close(timeout)
        return self.registry.cluster

    def left_behind(self) -> None:
        """As `Guarded.left_behind`."""
        if self._pool is not None or self.connector.is_bound:
            self._parents = (self._pool, self._runner, self._monitor, self._guard)
            self._pool = self._runner = self._monitor = self._guard = None
            self.is_open = False
            self.connector.leave_behind()

    def _refuse_forked(self) -> None:
        if self._parents is not None:
            raise WrongLoop(forked(self.registry.cluster))

    def resize(self, limits: Limits) -> None:
        """Other sizes, of this pool and of those to come."""
        self.limits = limits
        if self._pool is not None:
            self.pool_here().resize(limits)

    # -- readiness -----------------------------------------------------------------------------------------------------

    def ready(self, wants: Wants) -> list[str]:
        """The nodes that are known to serve a want now."""
        now = self.connector.now
        return [member.name for member in self.registry.members if self._is_ready(member, wants, now)]

    def _is_ready(self, member: Member[C], wants: Wants, now: float) -> bool:
        known = member.role is not Role.UNKNOWN or member.last_success is not None
        return member.usable and known and self.registry.standing.serves(member, wants, now) is not Fit.NO

    async def wait_ready(self, nodes: int, wants: Wants, timeout: float) -> None:
        """Until so many nodes serve. Raises `ReadyTimeout`."""
        pool = self.pool_here()
        loop = pool.loop
        deadline = loop.time() + timeout
        if self._monitor is None:
            self.connector.learn()
        while len(ready := self.ready(wants)) < nodes:
            if pool.is_closing:
                raise NotOpen(f"cluster {self.registry.cluster!r} was closed meanwhile")
            left = deadline - loop.time()
            if left <= _TICK:
                states = self.registry.each(lambda member: f"{member.breaker.health}, {member.role}")
                raise ReadyTimeout(
                    f"cluster {self.registry.cluster!r}: {len(ready)} of {nodes} nodes ready for {wants.target} "
                    f"within {timeout:.3g} s: {states}"
                )
            await pool.follower.next_change(left if left != math.inf else None)

    # -- draining ------------------------------------------------------------------------------------------------------

    async def drain(self, name: str, timeout: float) -> int:
        """Send nobody there any more, and wait for those who are; then interrupt them. Returns how many those were."""
        member = self.registry.drain(name, draining=True)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        pool = self._pool
        while member.open_connections or (pool is not None and pool.leased(member)):
            if not member.draining or not self.registry.is_current(member):
                return 0
            left = deadline - loop.time()
            if left <= _TICK:
                return self._interrupt(member, pool, f"node {name!r} was drained, within {timeout:.3g} s")
            await asyncio.sleep(min(_POLL, left))
        return 0

    def _interrupt(self, member: Member[C], pool: Pool[C] | None, cause: str) -> int:
        registry = self.registry
        leased = pool.cut(member, cause) if pool is not None else 0
        return leased + registry.interruptions.interrupt(registry.driver, member, member.handed_out(), cause)


_TICK = 1e-6
"""A timer may fire a clock tick early."""
_POLL = 0.02
"""Seconds between two looks at whether the users of a draining node have closed what they were handed."""
