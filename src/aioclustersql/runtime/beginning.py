"""Begins transactions on leased connections. BEGIN is the validation: as nothing of the user's was sent yet, one that fails is
tried again elsewhere until the deadline.

What follows the BEGIN is in `work` and `transacting`. Rule: whoever is cancelled here leaves no lease behind.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..drivers.base import Transaction, TransactionOptions
from ..errors import AcquireTimeout
from ..node import Isolation, Target, Wants
from ..policy import retry
from ..policy.retry import Action, Phase
from .begun import Begun
from .lease import Lease, Leases
from .registry import Registry
from .trail import Trail

__all__ = ["Beginner", "Request", "make_request"]

C = TypeVar("C")

_READ_ONLY = frozenset({Target.STANDBY, Target.PREFER_STANDBY, Target.READ_ONLY})
BEGIN_AT_LEAST = 1.0
"""Seconds for the BEGIN on a lease that was had by a deadline which is over (`timeout=0`: only what is at hand)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a transaction wants of its node and of its BEGIN. `interrupt`: it may be cut when the node falls silent."""

    wants: Wants
    options: TransactionOptions
    interrupt: bool = True


def make_request(
    wants: Wants, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False, interrupt: bool = True
) -> Request:
    """The request for these words. A target that a standby serves makes it read only. Raises `ConfigError`."""
    level = None if isolation is None else Isolation.parse(isolation)
    return Request(wants, TransactionOptions(level, readonly or wants.target in _READ_ONLY, deferrable), interrupt)


class Beginner(Generic[C]):
    """The way to a transaction that has begun."""

    def __init__(self, registry: Registry[C], leases: Leases[C]) -> None:
        self.registry = registry
        self.leases = leases

    async def begin(self, request: Request, trail: Trail, kept: Lease[C] | None = None) -> Begun[C]:
        """A lease with a transaction open on it; on `kept` if that is given. What failed is in `trail`.

        Raises what `Leases.acquire` raises, and the driver's error where another node would not help or no time is left.
        """
        while True:
            lease = kept or await self._acquire(request, trail)
            kept = None
            try:
                transaction = await self._begin(lease, request.options, trail)
            except AcquireTimeout:
                raise
            except Exception as exc:
                pause = self._failed(lease, exc, trail)
                if pause is None:
                    raise
            else:
                return Begun(self.registry.driver, self.leases, lease.conn, transaction, lease=lease, node=lease.node)
            if pause:
                await asyncio.sleep(pause)

    async def _acquire(self, request: Request, trail: Trail) -> Lease[C]:
        try:
            if (spans := self.registry.spans) is None:
                return await self.leases.acquire(request.wants, trail.deadline, interrupt=request.interrupt, avoid=trail.avoid)
            with spans.span("acquire", request.wants.target) as span:
                lease = await self.leases.acquire(request.wants, trail.deadline, interrupt=request.interrupt, avoid=trail.avoid)
                span.served_by(lease.node, self.registry.address_of(lease.node))
                return lease
        except Exception as exc:
            if trail.history:
                trail.annotate(exc, "no connection for a further attempt")
            raise

    async def _begin(self, lease: Lease[C], options: TransactionOptions, trail: Trail) -> Transaction:
        """BEGIN within the deadline. A driver's error leaves the lease to the caller; else it is discarded here."""
        limit = trail.now + BEGIN_AT_LEAST if trail.deadline <= trail.now else trail.limit
        answered = False
        try:
            async with asyncio.timeout_at(limit) as scope:
                try:
                    transaction = await self.registry.driver.begin(lease.conn, options)
                except Exception:
                    answered = not scope.expired()
                    raise
                answered = True
                return transaction
        except Exception as exc:
            if answered:
                raise
            late = AcquireTimeout(f"the time-out passed while node {lease.node} was asked to BEGIN", trail.errors)
            trail.annotate(late, f"node {lease.node} had not answered")
            raise late from exc
        finally:
            if not answered:
                self.leases.discard(lease)

    def _failed(self, lease: Lease[C], exc: Exception, trail: Trail) -> float | None:
        """The lease goes back. How long to wait before another attempt; `None`: the error is the caller's."""
        kind = self.leases.failed(lease, exc)
        self.leases.note(lease, exc)
        self.leases.release(lease)
        trail.heed_cancel(exc)
        what = retry.action(kind, Phase.BEGINNING)
        text = self.registry.describe(exc)
        trail.failed(lease.node, f"BEGIN on node {lease.node}", exc, text, avoid=what is Action.ELSEWHERE)
        if what is Action.SURFACE:
            return None
        trail.faults += what is not Action.RECONNECT
        pause = retry.pause(what, trail.faults, self.registry.rng, Phase.BEGINNING)
        if trail.now + pause < trail.deadline:
            return pause
        trail.annotate(exc, "the time-out leaves no time for another attempt")
        return None
