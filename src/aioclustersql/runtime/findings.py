"""What the monitor saw of a node, put into what is known of it. The registry's other half: there logins speak, here probes do.

Rule: a probe that was answered is the last word on a node; a verdict by silence ends what is open there, and nothing else does.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Generic, TypeVar

from ..drivers.base import Observation
from ..node import Role
from ..policy.health import Signal
from .member import Member
from .registry import Registry

__all__ = ["Findings"]

C = TypeVar("C")


class Findings(Generic[C]):
    """Takes down what probes show."""

    def __init__(self, registry: Registry[C]) -> None:
        self._registry = registry

    def observed(self, member: Member[C], seen: Observation, now: float) -> None:
        """It answered. A node that says that it serves is up, one that says that it does not is down."""
        registry = self._registry
        before = (member.timeline, member.lag, member.lag_bytes, member.degraded)
        member.heard_at = member.observed_at = now
        member.observed = datetime.now(UTC)
        member.lag, member.lag_bytes, member.timeline = seen.lag, seen.lag_bytes, seen.timeline
        member.degraded = (seen.cause or "degraded") if seen.degraded else None
        if member.degraded is not None:
            member.avoid_until = math.inf  # at the end of the order, for as long as it is so
        elif member.avoid_until == math.inf:
            member.avoid_until = 0.0
        if (before[3] is None) is not (member.degraded is None):
            member.changed()
            registry.journal.degraded(member, member.degraded)
        changed = before != (member.timeline, member.lag, member.lag_bytes, member.degraded)
        if seen.role not in (Role.UNKNOWN, member.role):
            registry.change_role(member, seen.role, seen.timeline)
            changed = True
        if changed:
            registry.settle(member)
        if seen.ready:
            member.must_sync = False
            registry.signal(member, Signal.SUCCESS, now)
        else:
            self.refused(member, seen.cause or "it says that it is not ready", now)

    def answered(self, member: Member[C], now: float) -> None:
        """It is up, though it does not let the monitor in, because it is full, say."""
        member.heard_at = now
        if not member.must_sync:
            self._registry.signal(member, Signal.SUCCESS, now)

    def refused(self, member: Member[C], cause: str, now: float) -> None:
        """It serves nobody: nothing listens there, or it says so itself. What is open there may still be."""
        if member.usable or member.breaker.cause != cause:
            self._registry.note_error(member, cause)
        self._registry.signal(member, Signal.HARD_FAILURE, now, cause)

    def silent(self, member: Member[C], cause: str, now: float) -> None:
        """It answers nothing at all: end what waits on it."""
        registry = self._registry
        member.must_sync = True
        registry.note_error(member, cause)
        if member.usable:
            registry.signal(member, Signal.HARD_FAILURE, now, cause, silent=True)
        else:
            member.generation += 1
            registry.signal(member, Signal.HARD_FAILURE, now, cause)
            registry.hooks.lost(member, cause, silent=True)
        registry.end_logins(member, cause)
        for goodbye in tuple(member.goodbyes):
            goodbye.cancel()
        users = member.handed_out(interruptible=True)
        registry.interruptions.interrupt(registry.driver, member, users, f"the node was found silent: {cause}")
