"""Performs a race: one task per login, `asyncio.wait(FIRST_COMPLETED)`, and one owner for every connection.

`policy.racing` says which login starts when; this file starts it, waits, and hands the winner over. Whatever ends the race
(a winner, the deadline, a cancelled caller), the other logins lose: they dispose of themselves and the caller never waits.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from ..errors import AllNodesFailed, ConnectTimeout, LoginAbandoned, NotOpen
from ..policy.latency import LoginLatency
from ..policy.racing import FAILOVER, Delays, HedgeBudget, Race, Reason, Start, delays
from ..policy.ranking import Fit, Order
from .attempt import GOODBYE, Attempt, LoginRequest, Opened
from .disposal import Disposal
from .failures import Failed, all_failed, describe, labelled
from .member import Member
from .registry import Registry

__all__ = ["Field", "RaceRunner", "RaceTimes"]

C = TypeVar("C")

_SPOKEN_OF = frozenset({Reason.HEDGE, Reason.FAILOVER, Reason.FAILURE})
_log = logging.getLogger("aioclustersql.race")


class RaceTimes(NamedTuple):
    """On the loop's clock: when the caller asked, and until when he waits; and the future that ends every race."""

    began: float
    deadline: float
    stop: asyncio.Future[None]


class Field(NamedTuple):
    """Who runs first, at once. `together`: they are several. `cold`: because nothing is known of any of them."""

    first: tuple[str, ...]
    together: bool
    cold: bool


class RaceRunner(Generic[C]):
    """One race. `order` tells the order of all nodes at a time; it is asked for what comes after `field.first` when needed."""

    __slots__ = (
        "_attempts",
        "_began",
        "_budget",
        "_deadline",
        "_disposal",
        "_errors",
        "_hedged",
        "_held",
        "_hold_until",
        "_logins",
        "_loop",
        "_order",
        "_race",
        "_registry",
        "_request",
        "_running",
        "_stop",
    )

    def __init__(
        self,
        registry: Registry[C],
        disposal: Disposal[C],
        budget: HedgeBudget,
        field: Field,
        order: Callable[[float], Order],
        request: LoginRequest[C],
        times: RaceTimes,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._loop = loop
        self._registry = registry
        self._disposal = disposal
        self._budget = budget
        self._request = request
        self._began, self._deadline, self._stop = times
        self._logins = 0
        self._attempts: dict[str, Attempt[C]] = {}
        self._running: dict[asyncio.Task[Opened[C] | None], Attempt[C]] = {}
        self._errors: dict[str, BaseException] = {}
        self._held: Opened[C] | None = None
        self._hold_until = math.inf
        self._order = order
        self._hedged = not field.together
        others = any(member.name not in field.first for member in registry.members)
        self._race = Race(field.first, self._rest if others else None, self._delays)

    @property
    def logins(self) -> int:
        """Logins that this race has started."""
        return self._logins

    async def run(self, leader: Attempt[C] | None) -> Opened[C]:
        """The winner. `leader` is a login of the first node that is under way, or over without having won.

        Raises `AllNodesFailed`, `ConnectTimeout` or `NotOpen`.
        """
        winner: Opened[C] | None = None
        try:
            starts = self._race.begin()
            if leader is None:
                self._start(starts)
                ended = await self._wait(self._race.wake_at(self._quiet_since))
            else:
                self._follow(leader)
                ended = self._ended()
            while (winner := self._judge(ended)) is None:
                ended = await self._wait(self._race.wake_at(self._quiet_since))
            return winner
        finally:
            for attempt in self._running.values():
                attempt.lose()
            if self._held is not None and self._held is not winner:
                self._dispose(self._held)
            self._forget()

    def _forget(self) -> None:
        """Break the circle of references, which would keep the user's connection until a garbage collection."""
        self._attempts.clear()
        self._running.clear()
        self._held = None
        del self._race, self._order

    async def _wait(self, wake: float | None) -> list[Attempt[C]]:
        """The logins that have ended, in the order of their start; none when a time has come."""
        if not self._running:
            return []
        until = min(self._deadline, self._hold_until, math.inf if wake is None else wake)
        timeout = None if until == math.inf else max(0.0, until - self._loop.time())
        waited_for: list[asyncio.Future[Any]] = [*self._running, self._stop]
        await asyncio.wait(waited_for, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return self._ended()

    def _ended(self) -> list[Attempt[C]]:
        if self._stop.done():
            raise NotOpen(f"cluster {self._registry.cluster!r} was closed while connecting")
        return [self._running.pop(task) for task in [*self._running] if task.done()]

    def _judge(self, ended: list[Attempt[C]]) -> Opened[C] | None:
        """The winner among what has ended, if there is one; start what is due."""
        opened = [found for attempt in ended if (found := self._result(attempt)) is not None]
        winner = next((found for found in opened if found.fit is Fit.YES), None)
        due: list[Start] = []
        for spare in opened:
            if spare is winner:
                continue
            if winner is None and self._held is None:
                due += self._hold(spare)
            else:
                self._dispose(spare)
        if winner is not None:
            return winner
        for attempt in ended:
            if attempt.member.name in self._errors:
                due += self._race.failed(attempt.member.name)
        now = self._loop.time()
        if self._held is not None and (now >= min(self._hold_until, self._deadline) or not self._better_possible()):
            return self._held
        if self._race.over and self._held is None:
            raise self._all_failed()
        if now >= self._deadline:
            raise ConnectTimeout(self._report(now), self._errors)
        self._start(due if ended else self._race.tick(now, self._quiet_since, self._budget))
        return None

    def _hold(self, opened: Opened[C]) -> list[Start]:
        """Keep a connection that serves, while a node that fits better may still answer. Returns what is to start now."""
        self._held, self._hold_until = opened, self._loop.time() + FAILOVER
        return self._race.held(opened.member.name)

    def _result(self, attempt: Attempt[C]) -> Opened[C] | None:
        """What a finished login gave: its connection, or nothing and its error noted."""
        name = attempt.member.name
        if attempt.task.cancelled():
            self._errors[name] = LoginAbandoned("cancelled")
        elif (error := attempt.task.exception()) is not None:
            self._errors[name] = error
        elif (opened := attempt.task.result()) is not None:
            if self._registry.is_current(attempt.member):
                return opened
            self._dispose(opened)
            self._errors[name] = LoginAbandoned("the node was removed")
        return None

    def _better_possible(self) -> bool:
        """Whether a login under way may fit better than the connection in hand, or one to come on a node without lost ones."""
        under_way = {attempt.member.name for attempt in self._running.values()}
        return any(
            member.usable and member.fits[self._request.wants.target] is Fit.YES and (name in under_way or not member.congested)
            for name in self._race.hopes
            if (member := self._registry.find(name)) is not None
        )

    def _start(self, starts: Iterable[Start]) -> None:
        queue = list(starts)
        while queue:
            name, reason = queue.pop(0)
            member = self._registry.find(name)
            if member is None:
                self._errors[name] = LoginAbandoned("the node was removed")
                queue.extend(self._race.failed(name))
                continue
            if reason is Reason.HEDGE:
                member.counters.hedges += 1
            if reason in _SPOKEN_OF:
                _log.debug("cluster %s: a login on node %s, too: %s", self._registry.cluster, name, reason)
            self._follow(Attempt(self._registry, self._disposal, member, self._request, reason, self._loop))

    def _follow(self, attempt: Attempt[C]) -> None:
        self._logins += 1
        self._attempts[attempt.member.name] = attempt
        self._running[attempt.task] = attempt

    def _delays(self, name: str) -> Delays:
        member = self._attempts[name].member
        others: Iterable[LoginLatency] = (other.latency for other in self._registry.members)
        others_under_way = max(0, len(member.attempts) - member.stragglers - 1)
        hedge, failover = delays(member.latency, others, others_under_way, self._loop.time())
        half = (self._deadline - self._began) / 2.0  # rather one login too many than a node that was never tried
        return Delays(min(hedge, half), min(failover, half))

    def _rest(self) -> tuple[Iterable[str], Iterable[str]]:
        return self._order(self._loop.time()).rest(hedged=self._hedged)

    def _quiet_since(self, name: str) -> float:
        return self._attempts[name].quiet_since

    def _dispose(self, opened: Opened[C]) -> None:
        self._disposal.close(self._registry.driver, opened.conn, GOODBYE)

    def _report(self, now: float) -> str:
        """What each node was doing when the time was over."""
        doing = self._registry.each(lambda member: self._doing(member, now))
        return f"no connection within {now - self._began:.3g} s (target {self._request.wants.target}): {doing}"

    def _doing(self, member: Member[C], now: float) -> str:
        if member.name in self._errors:
            return self._cause(member.name)
        if (attempt := self._attempts.get(member.name)) is None:
            return "not tried"
        return f"{attempt.phase} for {now - attempt.started:.3g} s, no answer"

    def _cause(self, name: str) -> str:
        attempt = self._attempts.get(name)
        return describe(self._errors[name], attempt.secret if attempt is not None else None)

    def _all_failed(self) -> AllNodesFailed:
        """The error that names every node and its cause."""
        return all_failed(
            self._request.wants.target,
            {name: Failed(self._label(name), error, self._cause(name)) for name, error in self._errors.items()},
        )

    def _label(self, name: str) -> str:
        attempt = self._attempts.get(name)
        return name if attempt is None else labelled(name, attempt.address)
