"""Logins in the background, for nobody: they measure a node of which little is known, and see whether a down one is back.

No caller waits for one. They end like lost logins: with a goodbye, within their grace.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from ..node import Target, Wants
from ..policy.racing import Reason
from .attempt import Attempt, LoginRequest
from .disposal import Disposal
from .member import Member
from .race import Field
from .registry import Registry

__all__ = ["Prober"]

C = TypeVar("C")

EXPLORE = 0.01
"""This part of the connects also logs in on the node that was measured longest ago."""
LEARN = 0.03
"""With many callers at once this part of the connects logs in on a node of which little is known: its first login was slow,
perhaps, and nobody would ever see that it is not."""
FRESH = 1.0
"""A node measured within so many seconds needs no exploration."""


class Prober(Generic[C]):
    """Starts the background logins of one cluster, on the occasion of a connect."""

    def __init__(self, registry: Registry[C], disposal: Disposal[C]) -> None:
        self._registry = registry
        self._disposal = disposal

    def probe(self, field: Field, now: float, loop: asyncio.AbstractEventLoop, *, calm: bool) -> None:
        """Log in where something is to be learnt; `calm`: few callers are connecting, so that it may always be."""
        registry = self._registry
        candidates: list[Member[C]] = []
        learning = calm or (bool(registry.unsettled) and registry.rng.random() < LEARN)
        for member in tuple(registry.unsettled) if registry.unsettled else ():
            if member.settled:
                registry.unsettled.discard(member)
            elif member.attempts or member.name in field.first or member.draining:
                continue
            elif member.breaker.wants_probe(now) and not registry.watcher.watching:
                registry.probing(member, now)
                self._start(member, loop)
            elif learning and member.usable and now >= member.avoid_until:
                candidates.append(member)
        if field.together:
            return
        if not candidates and registry.rng.random() < EXPLORE:
            candidates = [
                member
                for member in registry.candidates
                if member.usable
                and not member.attempts
                and now - member.latency.last_sample > FRESH
                and now >= member.avoid_until
            ]
        if candidates:
            self._start(min(candidates, key=_measured_at), loop)

    def measure(self, loop: asyncio.AbstractEventLoop) -> None:
        """Log in on every node that was never heard of."""
        for member in self._registry.candidates:
            if not member.latency.known and not member.attempts:
                self._start(member, loop)

    def revive(self, loop: asyncio.AbstractEventLoop) -> None:
        """Log in on the nodes that were found down, when it is time to see whether they are back; not where a monitor looks."""
        now = loop.time()
        for member in self._registry.candidates:
            if member.breaker.wants_probe(now) and not member.attempts and not self._registry.watcher.watching:
                self._registry.probing(member, now)
                self._start(member, loop)

    def _start(self, member: Member[C], loop: asyncio.AbstractEventLoop) -> None:
        Attempt(self._registry, self._disposal, member, LoginRequest(Wants(Target.ANY), {}, None), Reason.PROBE, loop)


def _measured_at(member: Member[C]) -> float:
    return member.latency.last_sample
