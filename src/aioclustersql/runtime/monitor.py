"""Watches the nodes while the cluster is open: one task and one connection for each, and how often each is to be asked.

What one node's answers mean is in `watch`, what follows in `findings`. Rule: after `stop` no task, login or connection is left.
"""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from typing import Generic, TypeVar

from ..node import Role, Target
from ..policy.ranking import Fit
from ..policy.verdict import RECENT
from .disposal import Disposal
from .findings import Findings
from .hooks import Unwatched
from .member import Member
from .registry import Registry
from .watch import Watch

__all__ = ["Monitor"]

C = TypeVar("C")

_log = logging.getLogger("aioclustersql.monitor")


class Monitor(Generic[C]):
    """The watches of one cluster. Satisfies `hooks.Watcher`.

    interval: seconds from the beginning of one probe of a node to that of the next, when all is quiet.
    timeout: seconds for its answer.
    target: as long as no node serves it, all are asked often.
    """

    def __init__(
        self,
        registry: Registry[C],
        disposal: Disposal[C],
        *,
        interval: float = 1.0,
        timeout: float = 0.5,
        target: Target = Target.READ_WRITE,
    ) -> None:
        self.interval = interval
        self.timeout = timeout
        self.registry = registry
        self.disposal = disposal
        self.findings = Findings(registry)
        self.watching = False
        self._target = target
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watches: dict[Member[C], Watch[C]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._known: dict[Member[C], tuple[Role, bool]] = {}
        self._seen: object = None
        self._changed_at = -math.inf
        self._unsettled_since: float | None = None

    def __repr__(self) -> str:
        state = f"{len(self._watches)} nodes" if self.watching else "stopped"
        return f"<Monitor of {self.registry.cluster!r}: {state}, every {self.interval:g} s>"

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch all nodes, and those that come, in this running loop. Does nothing while it does so already."""
        if self.watching and self._loop is loop:
            return
        self._loop, self.watching = loop, True
        self._watches.clear()  # of a loop that is gone
        self._leaving.clear()
        self._known = {member: (member.role, member.usable) for member in self.registry.members}
        self._changed_at, self._unsettled_since = -math.inf, None
        self.registry.watcher = self
        self.registry.standing.stale_after = 3.0 * self.interval + self.timeout
        self.rethink()

    async def stop(self, within: float = math.inf) -> None:
        """End all watches within so many seconds: connections say goodbye; logins that may still be answered have a second.

        A goodbye to a connection that was a witness may still be under way then; it is the disposal's.
        """
        if not self.watching:
            return
        self.watching = False
        self.registry.watcher = Unwatched()
        self.registry.standing.stale_after = math.inf
        for watch in self._watches.values():
            self._end(watch, within)
        self._watches.clear()
        while self._leaving:
            await asyncio.wait(tuple(self._leaving))

    def look_at(self, member: Member[C]) -> None:
        """Ask the node now. However often this is called, one extra probe answers it."""
        if (watch := self._watches.get(member)) is not None:
            watch.look()

    def look_at_others(self, member: Member[C]) -> None:
        """One node is silent: ask the others, to know whether it is that node or us."""
        for other, watch in self._watches.items():
            if other is not member:
                watch.look()

    def rethink(self) -> None:
        """Nodes have come, gone or changed: watch those that there are, as often as is right now."""
        loop = self._loop
        if not self.watching or loop is None or loop.is_closed():
            return
        members = self.registry.members
        for member in [member for member in self._watches if member not in members]:
            self._end(self._watches.pop(member))
        for member in members:
            if member not in self._watches:
                self._begin(member, loop)
        known = {member: (member.role, member.usable) for member in members}
        if any(_differs(before, known[member]) for member, before in self._known.items() if member in known):
            self._changed_at = loop.time()
        self._known = known
        seen = [(member, known[member], member.fits, member.draining, member.endpoint) for member in members]
        if seen != self._seen:
            self._seen = seen
            for watch in self._watches.values():
                watch.rethink()

    def is_served(self) -> bool:
        """Whether any node serves the usual target."""
        target = self._target
        return any(
            member.usable and not member.draining and member.fits[target] is not Fit.NO for member in self.registry.members
        )

    def unsettled_for(self, now: float) -> float | None:
        """For how many seconds it has been unsettled who does what, if it is."""
        if self.is_served() and now - self._changed_at >= RECENT:
            self._unsettled_since = None
            return None
        if self._unsettled_since is None:
            self._unsettled_since = now
        return now - self._unsettled_since

    def others_heard(self, member: Member[C], now: float) -> float:
        """When any other node was last heard of."""
        return max((watch.heard(now) for other, watch in self._watches.items() if other is not member), default=-math.inf)

    def _begin(self, member: Member[C], loop: asyncio.AbstractEventLoop) -> None:
        watch = self._watches[member] = Watch(self, member, loop)
        watch.start()

    def _end(self, watch: Watch[C], within: float = math.inf) -> None:
        assert self._loop is not None  # noqa: S101 - it watches in one
        task = self._loop.create_task(
            watch.stop(within), name=f"aioclustersql:{self.registry.cluster}:monitor-end:{watch.member.name}"
        )
        self._leaving.add(task)
        task.add_done_callback(partial(self._ended, watch))

    def _ended(self, watch: Watch[C], task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        watch.abandon()  # nothing, unless its end was cut short
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("cluster %s: the end of the watch on %s failed", self.registry.cluster, watch.member.name, exc_info=error)


def _differs(before: tuple[Role, bool], now: tuple[Role, bool]) -> bool:
    """Whether a node's role or health changed; to learn a role, or more of it, or to forget it, is no change."""
    learnt = Role.UNKNOWN in (before[0], now[0]) or (before[0] is Role.PRIMARY and now[0] is Role.PEER)
    return before[1] is not now[1] or (before[0] is not now[0] and not learnt)
