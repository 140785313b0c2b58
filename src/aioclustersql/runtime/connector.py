"""Opens connections for callers: orders the nodes, runs one race (or, with `wait`, several), starts background probes.

Cold races run one at a time: while nothing is known of any node, other callers wait for the one under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import count
from typing import Any, Generic, TypeVar

import anyio

from .. import events
from ..errors import AllNodesFailed, ClusterError, ConnectTimeout, NoNodeAvailable, NotOpen, WrongLoop
from ..node import Wants
from ..policy.backoff import backoff
from ..policy.racing import HedgeBudget, Reason
from .attempt import Attempt, LoginRequest, Opened
from .choice import Choice, Stagger
from .disposal import Disposal
from .failures import is_lasting
from .member import Member
from .probing import Prober
from .process import forked
from .race import RaceRunner, RaceTimes
from .registry import Registry

__all__ = ["Connector"]

C = TypeVar("C")


CALM = 2
"""With more callers at once hardly anything is logged in for learning alone: a burst makes the logins it needs and few more."""
GATE = 0.5
"""So many seconds a caller waits for another's cold race before he begins one himself; one takes over at a time."""


class Connector(Generic[C]):
    """All that is under way for one cluster in one event loop. Binds to a loop when first used in it."""

    def __init__(self, registry: Registry[C], *, stagger: Stagger, init: Callable[[C], Awaitable[object]] | None) -> None:
        self._registry = registry
        self._choice = Choice(registry, stagger)
        self._init = init
        self._budget = HedgeBudget()
        self._disposal: Disposal[C] = Disposal(registry.cluster)
        self._prober = Prober(registry, self._disposal)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clock = 0.0
        self._stop: asyncio.Future[None] | None = None
        self._gate: asyncio.Future[None] | None = None
        self._callers = 0
        self._connects = count(1)
        self._parents: asyncio.AbstractEventLoop | None = None
        """In the child of a fork: the loop that is the parent's."""

    @property
    def is_bound(self) -> bool:
        """Whether it works in some loop."""
        return self._loop is not None

    def leave_behind(self) -> None:
        """This is the child of a fork; what is under way is the parent's."""
        self._parents, self._loop = self._loop, None

    @property
    def now(self) -> float:
        """The clock of the loop last used; 0 before the first use."""
        return self._loop.time() if self._loop is not None and not self._loop.is_closed() else self._clock

    @property
    def disposal(self) -> Disposal[C]:
        """Where connections that nobody wants are closed."""
        return self._disposal

    def learn(self) -> None:
        """Log in, in the background, on every node of which nothing is known."""
        self._prober.measure(asyncio.get_running_loop())

    @property
    def hedge_tokens(self) -> float:
        """What is left in the budget for hedges."""
        return self._budget.tokens

    def close_connection(self, conn: C, within: float) -> asyncio.Task[None]:
        """Say goodbye to a connection that was handed out, in a task of its own."""
        goodbye = self._disposal.close(self._registry.driver, conn, within)
        for member in self._registry.members:
            if member.issued(conn):
                member.say_goodbye(goodbye)
            member.give_back(conn)
        return goodbye

    def bind(self, *, in_use: bool) -> asyncio.Future[None]:
        """Work in the running loop from now on; the future is done when the cluster closes. Raises `WrongLoop`."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._move(loop, in_use=in_use)
        if self._stop is None or self._stop.done():
            raise NotOpen(f"cluster {self._registry.cluster!r} is being closed")
        self._clock = loop.time()
        return self._stop

    def _move(self, loop: asyncio.AbstractEventLoop, *, in_use: bool) -> None:
        if self._parents is not None:
            raise WrongLoop(forked(self._registry.cluster))
        old = self._loop
        busy = self._callers or self._disposal or self._registry.attempts
        if old is not None and not old.is_closed() and (in_use or (old.is_running() and busy)):
            raise WrongLoop(
                f"cluster {self._registry.cluster!r} is in use in another event loop; "
                "close it there, or make one cluster per loop"
            )
        self._registry.forget_logins()
        if old is not None and loop.time() < self._clock:
            self._registry.forget_times()
        self._disposal.forget()
        self._loop, self._stop, self._gate, self._callers = loop, loop.create_future(), None, 0
        self._choice.forget()

    async def close(self, timeout: float, *, in_use: bool) -> None:
        """End what is under way: callers get `NotOpen`, lost logins end within their grace, all within `timeout` seconds."""
        loop = asyncio.get_running_loop()
        if self._loop is None or self._stop is None or self._stop.done():
            return
        if self._loop is not loop:
            self._move(loop, in_use=in_use)
        stop = self._stop
        stop.set_result(None)
        try:
            for attempt in self._registry.attempts:
                attempt.wake()
            with anyio.move_on_after(timeout):
                await self._logins_over()
                await self._disposal.wait()
        finally:
            for attempt in tuple(self._registry.attempts):
                attempt.cut("the cluster was closed")
            await self._logins_over()
            self._disposal.cut()
            await self._disposal.wait()
            if self._stop is stop:
                self._loop = self._stop = None

    async def _logins_over(self) -> None:
        while attempts := self._registry.attempts:
            if pending := [attempt.task for attempt in attempts if not attempt.task.done()]:
                await asyncio.wait(pending)
            else:
                self._registry.forget_logins()  # somebody cancelled them before their first step

    async def connect(
        self, wants: Wants, timeout: float, options: Mapping[str, Any], *, wait: bool, interrupt: bool, in_use: bool
    ) -> C:
        """A connection that fits, within `timeout` seconds (`math.inf`: without end). `interrupt`: a silent node ends it."""
        stop = self.bind(in_use=in_use)
        loop = stop.get_loop()
        began = loop.time()
        deadline = began + timeout
        request = LoginRequest(wants, options, self._init, next(self._connects))
        if options:
            for member in self._registry.members:
                self._registry.driver.override(member.endpoint, options)
        self._callers += 1
        try:
            if not wait:
                opened = await self._race(request, deadline, stop, loop)
            else:
                opened = await self._races(request, deadline, stop, loop)
            opened.member.issue(opened.conn, interrupt=interrupt)
            return opened.conn
        except ClusterError as exc:
            bus = self._registry.bus
            bus.emit(events.ConnectFailed, seconds=loop.time() - began, error=str(exc), connect=request.connect)
            raise
        finally:
            self._callers -= 1

    async def _races(
        self, request: LoginRequest[C], deadline: float, stop: asyncio.Future[None], loop: asyncio.AbstractEventLoop
    ) -> Opened[C]:
        """Race again, after a pause, until one is won or the deadline passes; at once when time heals nothing."""
        began = loop.time()
        while True:
            try:
                return await self._race(request, deadline, stop, loop)
            except (AllNodesFailed, NoNodeAvailable) as exc:
                if self._is_permanent(exc):
                    raise
                now = loop.time()
                nap = backoff(now - began, self._registry.rng)
                if now + nap >= deadline:
                    await self._sleep(deadline - now, stop)
                    errors = exc.errors if isinstance(exc, AllNodesFailed) else {}
                    raise ConnectTimeout(f"no connection within {deadline - began:.3g} s; the last try: {exc}", errors) from exc
                await self._sleep(nap, stop)

    async def _sleep(self, seconds: float, stop: asyncio.Future[None]) -> None:
        await asyncio.wait([stop], timeout=max(0.0, seconds))
        self._see_that_it_goes_on(stop)

    def _see_that_it_goes_on(self, stop: asyncio.Future[None]) -> None:
        if stop.done():
            raise NotOpen(f"cluster {self._registry.cluster!r} was closed while connecting")

    def _is_permanent(self, exc: AllNodesFailed | NoNodeAvailable) -> bool:
        if not isinstance(exc, AllNodesFailed):
            return False
        driver = self._registry.driver
        return bool(exc.errors) and all(is_lasting(driver, error) for error in exc.errors.values())

    async def _race(
        self, request: LoginRequest[C], deadline: float, stop: asyncio.Future[None], loop: asyncio.AbstractEventLoop
    ) -> Opened[C]:
        """One race, behind the gate when it is a cold one."""
        began = now = loop.time()
        field = self._choice.field(request.wants.target, now)
        while field.cold and (gate := self._gate) is not None:
            await self._wait_for_gate(gate, request, began, deadline, stop)
            if self._gate is gate:  # it has been shut for long enough
                self._gate = None
            now = loop.time()
            field = self._choice.field(request.wants.target, now)
        if deadline <= now:
            raise ConnectTimeout(
                f"no connection within {deadline - began:.3g} s (target {request.wants.target}): none was tried", {}
            )
        self._budget.deposit()
        shut: asyncio.Future[None] | None = None
        if field.cold:
            shut = self._gate = loop.create_future()
        logins = 1
        try:
            self._prober.probe(field, now, loop, calm=self._callers <= CALM)
            leader = opened = None
            if not field.together:
                member = self._registry.get(field.first[0])
                leader = Attempt(self._registry, self._disposal, member, request, Reason.FIRST, loop)
                opened = await leader.head_start(deadline)
            if opened is None:
                times = RaceTimes(began, deadline, stop)
                order = partial(self._choice.order, request.wants.target)
                race = RaceRunner(self._registry, self._disposal, self._budget, field, order, request, times, loop)
                opened = await race.run(leader)
                logins = race.logins
        finally:
            if shut is not None:
                shut.set_result(None)
                if self._gate is shut:
                    self._gate = None
        member = opened.member
        member.counters.wins += 1
        member.counters.connections += 1
        bus = self._registry.bus
        if bus.listeners:
            bus.emit(events.Connected, node=member.name, seconds=loop.time() - began, logins=logins, connect=request.connect)
        return opened

    async def _wait_for_gate(
        self, gate: asyncio.Future[None], request: LoginRequest[C], began: float, deadline: float, stop: asyncio.Future[None]
    ) -> None:
        timeout = max(0.0, min(deadline - self.now, GATE))
        await asyncio.wait([gate, stop], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        self._see_that_it_goes_on(stop)
        if not gate.done() and self.now >= deadline:
            raise ConnectTimeout(
                f"no connection within {self.now - began:.3g} s (target {request.wants.target}), "
                f"waiting for the first race of another caller: {self._registry.each(self._under_way)}",
                {},
            )

    def _under_way(self, member: Member[C]) -> str:
        doing = [f"{attempt.phase} for {self.now - attempt.started:.3g} s" for attempt in member.attempts]
        return ", ".join(doing) or member.last_error_message or "nothing under way"
