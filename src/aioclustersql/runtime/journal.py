"""What is told of a change: its event for listeners, and its line for the log. All log lines about nodes and callers are here.

One line per change, with the cluster, the node, old -> new and the cause. Rule: what repeats is said once a minute and counted
meanwhile; every text that comes in is without secrets already (`Member.describe`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from .. import events
from ..errors import AcquireTimeout, ClusterError, NotOpen
from ..node import Health, Role
from ..policy.health import Breaker
from ..policy.repeats import Repeats
from .bus import Bus
from .totals import Totals

if TYPE_CHECKING:
    from .member import Member

__all__ = ["Journal"]

_nodes = logging.getLogger("aioclustersql")
_monitor = logging.getLogger("aioclustersql.monitor")
_pool = logging.getLogger("aioclustersql.pool")


class Journal:
    """The record of one cluster."""

    def __init__(self, cluster: str, bus: Bus) -> None:
        self.bus = bus
        self.totals = Totals()
        self._cluster = cluster
        self._repeats = Repeats()

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def health(self, member: Member[Any], before: Breaker, after: Breaker, *, good: bool) -> None:
        """A node's health is another. `good`: that is nothing to look at."""
        self.bus.emit(events.HealthChanged, node=member.name, old=before.health, new=after.health, cause=after.cause)
        if after.health is Health.UP:
            for kind in ("health", "login", "session"):
                self._repeats.forget((kind, member.name))
        because = f": {after.cause}" if after.cause else ""
        line = f"node {member.name}: {before.health} -> {after.health}{because}"
        # A node that stays down is asked again and again, which is no news.
        again = after.health is Health.HALF_OPEN or before.health is Health.HALF_OPEN
        if again and after.health is not Health.UP:
            self._repeated(_nodes, logging.INFO if good else logging.WARNING, ("health", member.name, after.health), line)
        else:
            self._say(_nodes, logging.INFO if good else logging.WARNING, line)

    def role(self, member: Member[Any], old: Role, new: Role, *, known: bool) -> None:
        """A node's role is another. Not `known`: there was none, or a fuller look saw what a cheap one could not."""
        self.bus.emit(events.RoleChanged, node=member.name, old=old, new=new)
        if known:
            self._say(_nodes, logging.WARNING, f"node {member.name}: role {old} -> {new}")

    def degraded(self, member: Member[Any], cause: str | None) -> None:
        """A node is better left alone, though it serves; `None`: no more."""
        self.bus.emit(events.DegradedChanged, node=member.name, cause=cause)
        if cause is not None:
            self._say(_monitor, logging.WARNING, f"node {member.name}: degraded, serves only what no other can: {cause}")
        else:
            self._say(_monitor, logging.INFO, f"node {member.name}: no longer degraded")

    def superseded(self, member: Member[Any], cause: str | None) -> None:
        """A node says that it is the primary, and is not taken for it; `None`: no more."""
        self.bus.emit(events.SupersededChanged, node=member.name, cause=cause)
        if cause is not None:
            self._say(_monitor, logging.WARNING, f"node {member.name} is not taken for the primary: {cause}")
        else:
            self._say(_monitor, logging.INFO, f"node {member.name} no longer stands against another primary")

    def writer(self, member: Member[Any]) -> None:
        """A node was elected to take the writes, or is it no more."""
        self.bus.emit(events.WriterChanged, node=member.name, writer=bool(member.writer))
        self._say(_monitor, logging.INFO, f"node {member.name} {'takes the writes' if member.writer else 'takes no more writes'}")

    def draining(self, member: Member[Any]) -> None:
        """A node is to be left, or is used again."""
        self.bus.emit(events.NodeDraining if member.draining else events.NodeResumed, node=member.name)
        self._say(_nodes, logging.INFO, f"node {member.name}: {'draining' if member.draining else 'in use again'}")

    def interrupted(self, member: Member[Any], connections: int, cause: str) -> None:
        """Connections were closed under their users."""
        member.counters.interrupted += connections
        self._say(_monitor, logging.WARNING, f"node {member.name}: interrupted {connections} connections: {cause}")
        self.bus.emit(events.Interrupted, node=member.name, connections=connections, cause=cause)

    def login_failed(self, member: Member[Any], error: str) -> None:
        """A login failed, which changed nothing about its node's health: a wrong password, a full server."""
        if member.usable:  # else the line of its health says it
            self._repeated(_nodes, logging.WARNING, ("login", member.name), f"node {member.name}: a login failed: {error}")

    def admitted(self, member: Member[Any]) -> None:
        """Logins succeed again after they were refused."""
        self._repeats.forget(("login", member.name))
        self._say(_nodes, logging.INFO, f"node {member.name}: logins succeed again")

    def session_lost(self, member: Member[Any], error: str) -> None:
        """A connection failed in use."""
        self._repeated(_nodes, logging.DEBUG, ("session", member.name), f"node {member.name}: a connection was lost: {error}")

    # -- callers -------------------------------------------------------------------------------------------------------

    def not_acquired(self, error: ClusterError, waited: float) -> None:
        """A caller got an error instead of a lease."""
        if isinstance(error, NotOpen):
            return
        if isinstance(error, AcquireTimeout):
            self.totals.timeouts += 1
        else:
            self.totals.turned_away += 1
        if self.bus.listeners:
            self.bus.emit(events.AcquireFailed, seconds=waited, error=str(error))
        # To ask for what is at hand, and no more, is no failure.
        level = logging.WARNING if waited or not isinstance(error, AcquireTimeout) else logging.DEBUG
        text = str(error).removeprefix(f"cluster {self._cluster!r}: ")
        self._repeated(_pool, level, ("acquire", type(error)), f"a caller got no connection: {text}")

    def left_in_transaction(self, node: str, taken_at: str | None) -> None:
        """A lease came back with uncommitted work."""
        taken = f"; it was taken at {taken_at}" if taken_at else ""
        line = f"a connection on node {node} was returned in a transaction, which is rolled back{taken}"
        self._say(_pool, logging.WARNING, line)

    def retried(self, node: str, run: int, error: str, pause: float) -> None:
        """A unit of work was undone and runs again."""
        self.totals.retries += 1
        self.bus.emit(events.RunRetried, node=node, run=run, error=error, pause=pause)

    def unknown(self, node: str, why: str) -> None:
        """Nobody knows whether a transaction was committed."""
        self.totals.unknown += 1
        self.bus.emit(events.OutcomeUnknown, node=node, error=why)
        self._repeated(_pool, logging.WARNING, ("unknown", node), f"node {node}: the outcome of a transaction is unknown: {why}")

    # -- lines ---------------------------------------------------------------------------------------------------------

    def _say(self, log: logging.Logger, level: int, line: str) -> None:
        log.log(level, "cluster %s: %s", self._cluster, line)

    def _repeated(self, log: logging.Logger, level: int, what: Hashable, line: str) -> None:
        if not log.isEnabledFor(level):
            return
        left_out = self._repeats.due(what, _now())
        if left_out is not None:
            self._say(log, level, line + (f" (and {left_out} times more since this was said last)" if left_out else ""))


def _now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:  # called from outside the loop; the loop's clock is the same but for tests
        return time.monotonic()
