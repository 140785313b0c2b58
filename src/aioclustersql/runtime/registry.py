"""The only place where what happens to a node changes what is known of it. Who is registered is in `roster`.

Results and failures of logins come in; latency, breaker, role, counters, log lines and events follow. What the monitor saw comes
by way of `findings`.
"""

from __future__ import annotations

import itertools
import math
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from .. import events
from ..drivers.base import Driver, Endpoint
from ..errors import ConfigError, NodeNotFit
from ..failure import FailureKind
from ..node import Health, Node, Role
from ..policy.health import DOUBTFUL, REFUSED, SILENT, Breaker, Signal, avoid_for, login_signal, step
from ..policy.latency import CROWD
from .bus import Bus
from .failures import describe
from .hooks import Hooks, NoHooks, Unwatched, Watcher
from .interruptions import Interruptions
from .journal import Journal
from .member import Member
from .roster import Roster
from .spans import Spans
from .standing import Standing

if TYPE_CHECKING:
    from .attempt import Attempt

__all__ = ["Registry"]

C = TypeVar("C")

_TAKES_WRITES = frozenset({Role.PRIMARY, Role.PEER})


class Registry(Roster[C]):
    """The nodes of one cluster, and what is known of them."""

    def __init__(self, name: str, driver: Driver[C] | None, bus: Bus, *, writers: int | None = None) -> None:
        super().__init__(name, driver, writers=writers)
        self.bus = bus
        self.hooks: Hooks[C] = NoHooks()
        self.watcher: Watcher[C] = Unwatched()
        self.journal = Journal(name, bus)
        self.standing: Standing[C] = Standing(self.journal, writers)
        self.interruptions: Interruptions[C] = Interruptions(self.journal)
        self.spans: Spans | None = None
        self.rng = random.Random()
        self.attempts: set[Attempt[C]] = set()
        self._choices = itertools.count(1)

    def add(self, node: Node, endpoint: Endpoint) -> None:
        """Register a node; it takes part from the next connect on."""
        if node.name in self._members:
            raise ConfigError(f"cluster {self.cluster!r} already has a node {node.name!r}; change it with update_node")
        member = self._members[node.name] = Member(node, endpoint, self.driver.is_closed)
        self._changed()
        self.settle(member)
        self.bus.emit(events.NodeAdded, node=node.name)

    def update(self, node: Node, endpoint: Endpoint) -> None:
        """Give a node another address, weight or options, for future logins."""
        member = self.get(node.name)
        member.update(node, endpoint)
        self._changed()
        self.settle(member)
        self.bus.emit(events.NodeUpdated, node=node.name)

    def remove(self, name: str) -> None:
        """Forget a node at once; what is pending on it completes and is then closed."""
        member = self.get(name)
        del self._members[name]
        self._changed()
        self.settle(member)
        self.bus.emit(events.NodeRemoved, node=name)

    def drain(self, name: str, *, draining: bool) -> Member[C]:
        """From now on nothing new begins there; or, with `draining=False`, it does again. The node stays registered."""
        member = self.get(name)
        if member.draining is not draining:
            member.draining = draining
            self._changed()
            self.settle(member)
            self.journal.draining(member)
        return member

    def settle(self, *changed: Member[C]) -> None:
        """Something about these nodes changed: work out what that makes of each, and tell who waits for it."""
        placed = self.standing.settle(self.members)
        for member in dict.fromkeys((*changed, *placed)):
            self.hooks.changed(member)
        self.watcher.rethink()

    def login_started(self, attempt: Attempt[C], reason: str) -> None:
        """A login begins."""
        member = attempt.member
        self.attempts.add(attempt)
        member.attempts.add(attempt)
        member.counters.logins += 1
        if attempt.lost:
            member.lost.add(attempt)
        else:
            member.last_chosen = next(self._choices)  # by a race: the next tie goes to another
        if self.bus.listeners:
            self.bus.emit(events.LoginStarted, node=member.name, reason=reason, connect=attempt.connect)

    def login_lost(self, attempt: Attempt[C]) -> None:
        """Nobody waits for a login under way any more."""
        attempt.member.lost.add(attempt)

    def login_ended(self, attempt: Attempt[C]) -> None:
        """A login is over, however it ended."""
        self.attempts.discard(attempt)
        member = attempt.member
        member.attempts.discard(attempt)
        member.lost.discard(attempt)
        if member.breaker.health is Health.HALF_OPEN and not member.attempts:
            self.signal(member, Signal.SOFT_FAILURE, attempt.clock(), "the probe ended without an answer")

    def let_in(self, attempt: Attempt[C], seconds: float, now: float) -> None:
        """The node logged us in after `seconds`."""
        member = attempt.member
        if attempt.is_of_the_address:
            crowded = len(member.attempts) > CROWD or attempt.company > CROWD
            member.latency.observe(seconds, now, crowded=crowded)
            member.login_times.observe(seconds)
            member.heard_at = now
        if self.bus.listeners:
            self.bus.emit(events.LoginSucceeded, node=member.name, seconds=seconds, lost=attempt.lost, connect=attempt.connect)

    def validated(self, attempt: Attempt[C], role: Role, now: float) -> None:
        """The node serves us, and this is its role."""
        member = attempt.member
        if not attempt.is_of_the_address:
            return
        member.heard_at = now
        member.avoid_until = 0.0 if member.degraded is None else math.inf
        member.last_success = datetime.now(UTC)
        self.admitted(member)
        self._login_signal(member, Signal.SUCCESS, now)
        self.learn_role(member, role)

    def learn_role(self, member: Member[C], role: Role) -> None:
        """A connection was just validated as this."""
        old = member.role
        # A cheap check sees only that the node takes writes; that it is one of many was learnt by a fuller one.
        nothing_new = role is Role.UNKNOWN or role is old or (old is Role.PEER and role is Role.PRIMARY)
        if nothing_new or not self.is_current(member):
            return
        self.change_role(member, role)
        self.settle(member)
        self.watcher.look_at(member)

    def change_role(self, member: Member[C], role: Role, timeline: int | None = None) -> None:
        """The node is another than was known. A login does not tell the timeline, and a promotion begins a new one."""
        old, member.role, member.timeline = member.role, role, timeline
        if old is Role.PRIMARY and role is Role.PEER:
            return  # a fuller look at what a cheap check saw: no change
        if old is not Role.UNKNOWN:
            member.changed()
        self.journal.role(member, old, role, known=old is not Role.UNKNOWN)

    def admitted(self, member: Member[C]) -> None:
        """A login succeeded."""
        if member.admit():
            self.journal.admitted(member)

    def login_failed(self, attempt: Attempt[C], exc: BaseException, seconds: float, now: float, *, of_the_node: bool) -> None:
        """A login failed. `of_the_node`: the failure says something about the node (a failing `init` does not)."""
        member = attempt.member
        error = describe(exc, attempt.secret)
        self.bus.emit(events.LoginFailed, node=member.name, seconds=seconds, error=error, connect=attempt.connect)
        if isinstance(exc, NodeNotFit):
            return
        self.note_error(member, error)
        if not of_the_node or not attempt.is_of_the_address:
            self.journal.login_failed(member, error)
            return
        kind = self.driver.classify(exc)
        if pause := avoid_for(kind):
            member.avoid_until = now + pause
        if kind in REFUSED:
            member.refuse(error, now)
        if (signal := login_signal(kind)) is not None:
            self._login_signal(member, signal, now, error)
            if not member.usable and kind in SILENT:
                self.end_logins(member, error, but=attempt)
        self.journal.login_failed(member, error)

    def login_cut(self, attempt: Attempt[C], seconds: float, why: str, now: float, *, silent: bool) -> None:
        """A login was ended by us. `silent`: it had its full time and the node never answered."""
        member = attempt.member
        member.counters.cut += 1
        self.bus.emit(events.LoginCut, node=member.name, seconds=seconds, why=why, connect=attempt.connect)
        if not attempt.is_of_the_address:
            return
        member.latency.observe_at_least(seconds, now)
        if silent:
            error = f"no answer to a login within {seconds:.3g} s"
            self.note_error(member, error)
            self._login_signal(member, Signal.SOFT_FAILURE, now, error)
            if not member.usable:
                self.end_logins(member, error, but=attempt)

    def probing(self, member: Member[C], now: float) -> None:
        """A background login starts on a node whose breaker may close again."""
        self.signal(member, Signal.PROBE, now)

    def forget_logins(self) -> None:
        """Their loop is gone, and they with it."""
        for attempt in tuple(self.attempts):
            self.login_ended(attempt)

    def forget_times(self) -> None:
        """The clock is another one: what was measured by the old one means nothing."""
        for member in self.members:
            member.start_afresh()
        self._changed()
        self.settle(*self.members)

    def session_lost(self, member: Member[C], kind: FailureKind, exc: BaseException, *, generation: int | None = None) -> None:
        """A connection failed in use. That is no verdict, and a reason to ask its node at once.

        `generation`: the node's when the connection was opened; a failure of an older one is no news.
        """
        if not self.is_current(member) or kind not in DOUBTFUL or (generation is not None and generation != member.generation):
            return
        error = member.describe(exc)
        self.note_error(member, error)
        self.journal.session_lost(member, error)
        if self.watcher.watching:
            self.watcher.look_at(member)
        elif kind is FailureKind.ROLE_CHANGED and member.role in _TAKES_WRITES:
            self.change_role(member, Role.UNKNOWN)  # nobody looks: only new logins tell what it is now
            member.generation += 1
            self.settle(member)

    def note_error(self, member: Member[C], error: str) -> None:
        """The latest error of a node, for all to see."""
        member.counters.errors += 1
        member.last_error = datetime.now(UTC)
        member.last_error_message = error

    def describe(self, exc: BaseException) -> str:
        """An exception in one line, without the passwords of any node."""
        return describe(exc, *{secret for member in self.members for secret in member.secrets})

    def end_logins(self, member: Member[C], cause: str, *, but: Attempt[C] | None = None) -> None:
        """It answers nothing: what is under way there is in vain."""
        for attempt in tuple(member.attempts):
            if attempt is not but:
                attempt.cut(f"the node was found down: {cause}")

    def _login_signal(self, member: Member[C], signal: Signal, now: float, cause: str | None = None) -> None:
        """What a login says. To a monitor that is a reason to look, unless it proves that the node serves nobody."""
        if self.watcher.watching and (signal is Signal.SOFT_FAILURE or not member.usable):
            self.watcher.look_at(member)
            if signal is Signal.SUCCESS:
                return
        self.signal(member, signal, now, cause)

    def signal(self, member: Member[C], signal: Signal, now: float, cause: str | None = None, *, silent: bool = False) -> None:
        """What happened to a node, as far as its health is concerned. `silent`: nothing that is open there is any good."""
        before: Breaker = member.breaker
        if signal is Signal.SUCCESS and before.health is Health.UP and not before.soft_failures:
            return  # the usual case
        after = step(before, signal, now, self.rng, cause, watched=self.watcher.watching)
        if after is before or after == before:
            return
        member.breaker = after
        member.usable = after.closed
        if after.health is before.health or not self.is_current(member):
            return
        if after.health is not Health.UP:
            self.unsettled.add(member)
        member.changed()
        self.journal.health(member, before, after, good=(after.closed and signal is Signal.SUCCESS) or signal is Signal.PROBE)
        if before.closed is after.closed:
            return
        if not after.closed:
            member.generation += 1
            self.hooks.lost(member, after.cause or "", silent=silent)
        self.settle(member)
