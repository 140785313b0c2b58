"""The watch on one node: it asks, hears the answers, and comes to its verdicts.

What may be concluded is decided in `policy.verdict`, what follows of it is in `findings`, and `line` has the connections.
Rule: no verdict without an answer, or witnesses that had their time.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Generic, TypeVar

from ..failure import FailureKind
from ..policy.health import HARD, REFUSED, SOFT, SOFT_LIMIT, avoid_for
from ..policy.verdict import FAST, LATE, RENEW, SLOWER, Verdict, Window, is_late, judge, pause, renew_after
from .attempt import GOODBYE
from .failures import describe
from .line import Line
from .member import Member

if TYPE_CHECKING:
    from .monitor import Monitor

__all__ = ["Watch"]

C = TypeVar("C")

_log = logging.getLogger("aioclustersql.monitor")

_TICK = 1e-6
"""A timer may fire a clock tick early."""
_COARSE = 0.01
"""The operating system tells in milliseconds how long ago bytes came; so much later they must have come to be proof."""
_LOST = frozenset({*SOFT, FailureKind.UNREACHABLE, FailureKind.FOUND_CLOSED, FailureKind.IDLE_CLOSED})
"""A probe that fails so has lost its connection."""
_BEHIND = frozenset({FailureKind.LOCK_TIMEOUT, FailureKind.INTERRUPTED})
"""A causal probe that fails so did not catch up with the cluster in the server's own time."""


class Watch(Generic[C]):
    """The watch on one node, in one task."""

    def __init__(self, monitor: Monitor[C], member: Member[C], loop: asyncio.AbstractEventLoop) -> None:
        self.member = member
        self._monitor = monitor
        self._registry = monitor.registry
        self._findings = monitor.findings
        self._loop = loop
        self._address = member.endpoint.address
        self._line: Line[C] = Line(monitor.registry, monitor.disposal, member, loop)
        self._task: asyncio.Task[None] | None = None
        self._bell: asyncio.Future[None] | None = None
        self._wanted = False
        self._silent = False
        self._renewals = self._failures = 0
        self._spoke_at = -math.inf
        self._down_since: float | None = None
        self._far_since: float | None = None
        self._not_before = 0.0

    def start(self) -> None:
        """Begin."""
        self._task = self._loop.create_task(
            self._run(), name=f"aioclustersql:{self._registry.cluster}:monitor:{self.member.name}"
        )
        self._task.add_done_callback(lambda _: self.abandon())

    async def stop(self, within: float) -> None:
        """End, with a goodbye; within so many seconds, and two at most."""
        line, self._line = self._line, Line(self._registry, self._monitor.disposal, self.member, self._loop)
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
            if self._silent:
                line.hang_up_login()
            await line.close(min(within, 2.0 * GOODBYE))
        finally:
            line.drop()

    def abandon(self) -> None:
        """End everything at once: the task is over, whoever ended it."""
        self._line.drop()

    def look(self) -> None:
        """Ask now."""
        self._wanted = True
        self.rethink()

    def rethink(self) -> None:
        """How long to rest may be another."""
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    def heard(self, now: float) -> float:
        """When anything last came from the node: an answer, a refusal, or bytes on any connection of ours."""
        driver, member = self._registry.driver, self.member
        newest = max(member.heard_at, self._spoke_at)
        for conn in (*self._line.connections, *member.handed_out(), *self._registry.hooks.connections(member)):
            if (ago := driver.last_received(conn)) is not None:
                newest = max(newest, now - ago - _COARSE)
        return newest

    async def _run(self) -> None:
        while True:
            began = self._loop.time()
            self._wanted = False
            try:
                if self._silent:
                    await self._until_it_speaks()
                await self._ask()
            except Exception:  # noqa: BLE001 - a monitor that died of it would leave the node unwatched
                _log.exception("cluster %s: the watch on node %s failed, and goes on", self._registry.cluster, self.member.name)
                self._line.drop()
                self._not_before = began + self._monitor.interval
            await self._rest(began)

    async def _ask(self) -> None:
        """One question, until it is answered or the verdict is found."""
        line = self._line
        window, doubted = self._window(), False
        waiting: C | None = None  # a spare that the reserved connection was given one more window beside
        while True:
            now, due = self._loop.time(), window.end if doubted else window.half
            if self._has_moved():
                window, doubted = self._window(), False
            elif line.probe is not None and line.probe.done():
                if self._hear_probe(now):
                    return
                window, doubted = self._window(), False  # the connection was lost: log in again, at once
            elif line.login is not None and line.login.task.done():
                reserved = line.conn is not None
                if self._hear_login(now) and not reserved:
                    window, doubted = self._window(), False
                elif line.conn is None:
                    return
            elif now + _TICK < due:
                line.ask()
                if not line.answered:  # an eager task may be done before it is waited for
                    await self._wait_until(due)
            elif not doubted:
                if is_late(due, now):
                    window = window.anew(now)
                else:
                    doubted = True
                    self._call_witnesses(now)
            elif line.login is not None and line.login.speaking_since > window.half + LATE:
                window, doubted = window.anew(now), False  # it waited for our own password, and has not had its time
            elif waiting is not None and waiting is line.spare:
                line.use_spare()
                window, doubted = window.anew(now), False
            else:
                heard, others = self.heard(now), self._monitor.others_heard(self.member, now)
                verdict = judge(window, now, heard=heard, others_heard=others)
                if verdict is Verdict.SILENT:
                    self._found_silent(window, now)
                    return
                if verdict is Verdict.ALIVE and self.member.usable:
                    waiting = line.spare  # slow is not dead, and MySQL counts a session that is cut off in mid-question
                elif verdict is Verdict.ALIVE:
                    line.use_spare()
                window, doubted = window.longer(now) if verdict is Verdict.OURSELVES else window.anew(now), False

    def _window(self) -> Window:
        # A login takes more round trips than a probe; and it is the one witness then.
        timeout, now = self._monitor.timeout, self._loop.time()
        return Window(now, timeout if self._line.conn is not None else 2.0 * timeout)

    def _call_witnesses(self, now: float) -> None:
        """Half the time is over: log in beside, and ask the other nodes, so that it is known whether it is us.

        A login under way since an earlier doubt is as good a witness, and not cut for a newer one: MySQL would count it.
        """
        line, login = self._line, self._line.login
        fresh = login is not None and now - login.started < RENEW
        if line.conn is not None and line.spare is None and not fresh:
            line.log_in()
        self._monitor.look_at_others(self.member)

    def _hear_probe(self, now: float) -> bool:
        """The probe ended. `False`: by the loss of a connection that was good before."""
        line = self._line
        probe, line.probe = line.probe, None
        assert probe is not None  # noqa: S101 - the caller has seen it
        error = ConnectionAbortedError("the probe was cancelled") if probe.cancelled() else probe.exception()
        if error is None:
            line.proven = True
            line.dismiss_spare()
            self._spoke(now)
            seen, round_trip = probe.result()
            if round_trip is not None:
                self.member.round_trip.observe(round_trip, now)
            self._findings.observed(self.member, seen, now)
            return True
        if not isinstance(error, Exception):
            raise error
        driver = self._registry.driver
        kind, cause = driver.classify(error), self.member.describe(error)
        if kind in _LOST or line.conn is None or driver.is_closed(line.conn):
            proven = line.proven
            line.hang_up()
            if not proven:
                self._failed(kind, cause, now)
            return not proven
        self._spoke(now)
        if kind in HARD or kind in _BEHIND:
            self._findings.refused(self.member, cause, now)
        else:
            self._registry.note_error(self.member, cause)
            self._findings.answered(self.member, now)
        return True

    def _hear_login(self, now: float) -> bool:
        """The login ended; whether well."""
        line = self._line
        login = line.login
        assert login is not None  # noqa: S101 - the caller has seen it
        if (error := login.error) is None:
            line.take_login()
            self._registry.admitted(self.member)
            return True
        line.login = None
        self._failed(self._registry.driver.classify(error), describe(error, login.secret), now)
        return False

    def _failed(self, kind: FailureKind, cause: str, now: float) -> None:
        """A login failed, or what came of it was lost before it answered anything."""
        self._failures += 1
        self._not_before = now + avoid_for(kind)
        if kind in HARD or (kind in SOFT and self._failures >= SOFT_LIMIT):
            if kind in HARD:
                self._spoke(now)
            self._line.hang_up()
            self._findings.refused(self.member, cause, now)
        else:
            self._registry.note_error(self.member, cause)
            self._registry.journal.login_failed(self.member, cause)
            if kind in REFUSED:
                self.member.refuse(cause, now)
                self._spoke(now)
                self._findings.answered(self.member, now)

    def _spoke(self, now: float) -> None:
        self._spoke_at = now
        self._silent = False
        self._renewals = self._failures = 0

    def _found_silent(self, window: Window, now: float) -> None:
        """Two witnesses had their time. One login is left pending, so that it is known when the node is back."""
        witnesses = "a probe and a login" if self._line.conn is not None else "a login"
        self._line.hang_up()
        if self._line.login is None:
            self._line.log_in()
        if not self._silent:
            self._silent, self._renewals = True, 0
            self._findings.silent(self.member, f"no answer to {witnesses} within {window.timeout:.3g} s", now)

    async def _until_it_speaks(self) -> None:
        """Leave one login pending until it ends."""
        while self._silent and not self._has_moved():
            self._line.ask()
            login = self._line.login
            if login is None or login.task.done():
                return
            due = login.started + renew_after(self._renewals)
            await self._wait_until(due)
            if not login.task.done() and self._loop.time() + _TICK >= due:
                self._renewals += 1
                self._line.hang_up_login()
                await asyncio.wait([login.task], timeout=GOODBYE)  # never two of them at once

    def _has_moved(self) -> bool:
        """Whether the node has another address by now; then all that was under way is of no worth."""
        if self.member.endpoint.address == self._address:
            return False
        self._address = self.member.endpoint.address
        self._line.drop()
        self._silent = False
        self._renewals = self._failures = 0
        return True

    async def _rest(self, began: float) -> None:
        """Until it is time for the next question; a login that is still under way is heard meanwhile."""
        line = self._line
        while True:
            now = self._loop.time()
            if line.login is not None and line.login.task.done():
                if line.conn is None:
                    return
                self._hear_login(now)
                line.dismiss_spare()
            due = max(began + self._pause(now), self._not_before)
            if self._wanted:
                due = began if self.member.usable else began + min(FAST, self._monitor.interval)
            if now + _TICK >= due or self.member.endpoint.address != self._address:
                return
            await self._wait_until(due)

    def _pause(self, now: float) -> float:
        member, interval = self.member, self._monitor.interval
        if member.usable:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now
        if not member.round_trip.is_far(now):
            self._far_since = None
        elif self._far_since is None:
            self._far_since = now
        if self._line.conn is None and member.usable:
            return min(interval, SLOWER)
        unsettled = [
            self._monitor.unsettled_for(now),
            None if self._far_since is None else now - self._far_since,
        ]
        return pause(
            interval,
            down_for=None if self._down_since is None else now - self._down_since,
            unsettled_for=min((each for each in unsettled if each is not None), default=None),
            missed=self._down_since is not None and not self._monitor.is_served(),
        )

    async def _wait_until(self, due: float) -> None:
        """Until then, or until something is answered, or the bell rings."""
        self._bell = bell = self._loop.create_future()
        try:
            await asyncio.wait(
                [bell, *self._line.pending],
                timeout=max(0.0, due - self._loop.time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._bell = None
