"""One login on one node, in one task, which owns the connection until it is handed over or closed.

A login that lost its race is not cancelled: on MySQL and MariaDB an interrupted handshake counts against this host, and after
`max_connect_errors` of them the server refuses it (error 1129). It gets a grace period, then says goodbye.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from ..drivers.base import resolve_password
from ..errors import LoginAbandoned
from ..node import Target, Wants
from ..policy.latency import grace
from ..policy.racing import FAILOVER, HEDGE_MIN, Reason
from ..policy.ranking import Fit
from ..policy.verdict import is_late
from .disposal import Disposal
from .member import Member
from .registry import Registry

__all__ = ["Attempt", "LoginRequest", "Opened"]

C = TypeVar("C")

GOODBYE = 1.0
"""Seconds that a connection nobody wants may take to say goodbye."""
_TICK = 1e-6
"""A timer may fire a clock tick early."""
_PAST_GRACE = "no answer within its grace"
_NODES_TURN = ("logging in", "being validated")
_ANY = Wants(Target.ANY)


class LoginRequest(NamedTuple, Generic[C]):
    """What one connect wants of its logins. `options` go over the node's own; `connect` is its number, for the events."""

    wants: Wants
    options: Mapping[str, Any]
    init: Callable[[C], Awaitable[object]] | None
    connect: int | None = None


class Opened(NamedTuple, Generic[C]):
    """A connection that is served and set up. Whoever holds this owns it."""

    member: Member[C]
    conn: C
    fit: Fit


class Attempt(Generic[C]):
    """A login under way."""

    __slots__ = (
        "_begun",
        "_cut",
        "_disposal",
        "_due",
        "_endpoint",
        "_loop",
        "_probe",
        "_registry",
        "_request",
        "_speaking_since",
        "_task",
        "_timer",
        "_waiter",
        "clock",
        "company",
        "lost",
        "member",
        "phase",
        "secret",
        "started",
    )

    def __init__(
        self,
        registry: Registry[C],
        disposal: Disposal[C],
        member: Member[C],
        request: LoginRequest[C],
        reason: Reason,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._loop = loop
        self.clock = loop.time
        self._registry = registry
        self._disposal = disposal
        self._request = request
        self._endpoint = member.endpoint
        self._begun = False
        self._cut: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        """When the timer fires; uvloop's do not tell where that is at once."""
        self._waiter: asyncio.Future[None] | None = None
        self.member = member
        self.started = self._speaking_since = loop.time()
        self.lost = self._probe = reason is Reason.PROBE
        self.phase = "waiting for its password"
        self.secret: str | None = None
        if callable(member.endpoint.password):
            # Having to fetch it is not the node's fault: that has a failover's time before the node owes an answer.
            self._speaking_since += FAILOVER
        registry.login_started(self, reason)
        self.company = len(member.attempts)
        """Logins of ours under way on the node when it began, itself included."""
        if self.lost:
            self._wait_out_grace(self.started)
        self._task: asyncio.Task[Opened[C] | None] | None = None  # an eager task runs before it can be noted here
        self._task = loop.create_task(self._run(), name=f"aioclustersql:{registry.cluster}:login:{member.name}")

    @property
    def task(self) -> asyncio.Task[Opened[C] | None]:
        """Ends with an `Opened`, with the error, or with None when it had lost."""
        assert self._task is not None  # noqa: S101 - set where it is made
        return self._task

    @property
    def opened(self) -> Opened[C] | None:
        """Its connection, if it has ended with one."""
        task = self.task
        return task.result() if task.done() and not task.cancelled() and task.exception() is None else None

    def __repr__(self) -> str:
        lost = ", lost" if self.lost else ""
        return f"<Attempt on {self.member.name}: {self.phase}{lost}>"

    @property
    def connect(self) -> int | None:
        """The number of the connect that it is for; None: it is the pool's or the monitor's."""
        return self._request.connect

    @property
    def address(self) -> str:
        """Where it logs in."""
        return self._endpoint.address

    @property
    def is_of_the_address(self) -> bool:
        """Whether the node still has the address that is being logged in to; else this says nothing about the node."""
        return self._endpoint is self.member.endpoint or self._endpoint.address == self.member.endpoint.address

    @property
    def quiet_since(self) -> float:
        """Since when the node owes an answer."""
        return max(self._speaking_since, self.member.heard_at)

    async def head_start(self, deadline: float) -> Opened[C] | None:
        """The usual connect: one login, which wins before any hedge can be due. `None`: it has not won so far, so race on.

        Ends at the deadline or by `wake`, too. Its one waiter calls this, once; when he is cancelled, the login has lost.
        """
        if not self.task.done():
            # Not asyncio.wait, which takes twice the time of one future and one timer: every connect waits here.
            self._waiter = waiter = self._loop.create_future()
            waited_for = max(1, len(self.member.attempts) - self.member.stragglers)
            until = min(self.started + HEDGE_MIN * waited_for, deadline)
            timer = self._loop.call_at(until, self.wake)
            try:
                await waiter
            except BaseException:
                self.lose()
                raise
            finally:
                timer.cancel()
        opened = self.opened
        won = opened is not None and opened.fit is Fit.YES and self._registry.is_current(self.member)
        return opened if won else None

    def wake(self) -> None:
        """Let the waiter of `head_start` see for himself."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def lose(self) -> None:
        """Nobody waits for this login any more: it gets its grace, then says goodbye. For one that is over: at once."""
        if self.lost:
            return
        self.lost = True
        self.member.counters.losses += 1
        if not self.task.done():
            self._registry.login_lost(self)
            self._wait_out_grace(self.clock())
        elif (opened := self.opened) is not None:
            self._goodbye(opened.conn)

    def cut(self, why: str) -> None:
        """End the login now, without a goodbye."""
        if self._cut is None and not self.task.done():
            self._cut = why
            if self._begun:  # else it sees for itself: a task cancelled before its first step would never clean up
                self.task.cancel()

    def _wait_out_grace(self, lost_at: float) -> None:
        """Cut the login off when its grace is over; what was learnt of the node meanwhile may have made it longer.

        Where our own loop was blocked, the answer may lie unread: it has its grace once more.
        """
        now = self.clock()
        if self._timer is not None and is_late(self._due, now):
            lost_at = now
        over = lost_at + grace(self.member.latency, now)
        if now + _TICK < over:
            self._timer, self._due = self._loop.call_at(over, self._wait_out_grace, lost_at), over
        else:
            self.cut(_PAST_GRACE)

    async def _run(self) -> Opened[C] | None:
        self._begun = True
        try:
            if self._cut is not None:
                raise asyncio.CancelledError
            conn = await self._login()
            return await self._prepare(conn)
        except asyncio.CancelledError:
            if self._cut is None:
                raise
            self._ended_by_us(self._cut)
            return None
        except Exception:
            if self.lost:
                return None
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._registry.login_ended(self)
            self.wake()

    async def _login(self) -> C:
        try:
            self.secret = self.member.secret = password = await resolve_password(self._endpoint)
        except Exception as exc:
            self._failed(exc, of_the_node=False)
            raise
        self.phase = "logging in"
        self._speaking_since = self.clock()
        driver = self._registry.driver
        try:
            options = self._request.options
            endpoint = driver.override(self._endpoint, options) if options else self._endpoint
            conn = await driver.connect(endpoint, password)
        except Exception as exc:
            if self._cut is not None:  # the driver made an error of its own out of our cancel
                raise asyncio.CancelledError from exc
            self._failed(exc, of_the_node=True)
            raise
        if self._cancelled():
            driver.terminate(conn)
            raise asyncio.CancelledError
        now = self.clock()
        self._registry.let_in(self, now - self._speaking_since, now)
        return conn

    async def _prepare(self, conn: C) -> Opened[C] | None:
        """See that the connection is served and fits, and set it up; whatever goes wrong, it is closed."""
        fitness, set_up = Fit.NO, False
        try:
            if self._probe or not self.lost:
                self.phase = "being validated"
                wants = _ANY if self._probe else self._request.wants
                role = await self._registry.driver.validate(conn, self._registry.standing.to_ask(wants.target))
                now = self.clock()
                self._registry.validated(self, role, now)
                fitness = self._registry.standing.judge(self.member, role, wants, now)
            if self._request.init is not None and not self.lost:
                self.phase = "in init"
                set_up = True
                await self._request.init(conn)
        except Exception as exc:
            if self._cut is None:
                self._failed(exc, of_the_node=self.phase in _NODES_TURN)
            self._close(conn)
            if self._cut is not None:
                raise asyncio.CancelledError from None
            raise
        except BaseException:
            self._close(conn)
            raise
        if self._cancelled():
            self._close(conn)
            raise asyncio.CancelledError
        if self.lost:
            if set_up or self._request.options or not self.is_of_the_address:
                self._goodbye(conn)
            else:
                self._disposal.spare(self._registry.driver, self.member, conn, GOODBYE)
            return None
        return Opened(self.member, conn, fitness)

    def _failed(self, exc: Exception, *, of_the_node: bool) -> None:
        now = self.clock()
        self._registry.login_failed(self, exc, now - self.started, now, of_the_node=of_the_node)

    def _ended_by_us(self, why: str) -> None:
        if self._task is not None and self._task.cancelling():
            self._task.uncancel()
        now = self.clock()
        silent = why is _PAST_GRACE and self.phase in _NODES_TURN
        self._registry.login_cut(self, max(0.0, now - self._speaking_since), why, now, silent=silent)
        if not self.lost:
            raise LoginAbandoned(f"ended after {now - self.started:.3g} s: {why}")

    def _cancelled(self) -> bool:
        """Whether this task was cancelled and something below swallowed it (asyncio.wait_for does on Python 3.11)."""
        return self._task is not None and self._task.cancelling() > 0

    def _close(self, conn: C) -> None:
        if self._cancelled():
            self._registry.driver.terminate(conn)
        else:
            self._goodbye(conn)

    def _goodbye(self, conn: C) -> None:
        self._disposal.close(self._registry.driver, conn, GOODBYE)
