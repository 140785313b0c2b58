"""One connection of the pool: what the books say of it, and whose it is. State only; `pool` changes it."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

from ..node import Role, Target, Wants
from ..policy.ledger import Slot, Waiter
from .member import Member

__all__ = ["Pooled", "Waiting"]

C = TypeVar("C")


class Pooled(Slot, Generic[C]):
    """A connection in the pool, leased or not. As long as it is leased it is its user's."""

    __slots__ = ("baseline", "conn", "cut", "interrupt", "member", "owner", "returned_at", "taken_at", "turn", "validated_for")

    def __init__(self, member: Member[C], conn: C, baseline: object, validated_for: Target) -> None:
        super().__init__()
        self.member = member
        self.conn = conn
        self.validated_for = validated_for
        """What its node was last asked for: see `serves_unasked`."""
        self.baseline = baseline
        """What `Driver.reset` restores."""
        self.turn = 0
        """Grows when it is leased and when it comes back: who holds another one has given it back already."""
        self.owner: asyncio.Task[Any] | None = None
        """Who took it."""
        self.interrupt = True
        """Whether a node that falls silent ends it."""
        self.cut: str | None = None
        """Why it was interrupted."""
        self.taken_at: str | None = None
        """Where it was taken and returned: kept with `debug` only."""
        self.returned_at: str | None = None

    @property
    def node(self) -> str:
        """The name of its node."""
        return self.member.name

    def serves_unasked(self, target: Target) -> bool:
        """Whether it may be leased for that as it is. Nothing is known of a node's role until a login asks for it, and one for
        `any` does not have to."""
        return self.member.role is not Role.UNKNOWN or target is Target.ANY or target is self.validated_for

    def __repr__(self) -> str:
        return f"<pooled connection on {self.member.name}: {self.state.name.lower()}>"


class Waiting(Waiter[Wants], Generic[C]):
    """Somebody who waits until the deadline, and the future by which he is served."""

    __slots__ = ("deadline", "future", "place", "task")

    def __init__(self, wants: Wants, now: float, deadline: float, loop: asyncio.AbstractEventLoop, place: str | None) -> None:
        self.wants, self.since, self.number = wants, now, 0
        self.deadline = deadline
        self.future: asyncio.Future[Pooled[C]] = loop.create_future()
        self.task = asyncio.current_task(loop)
        self.place = place
        """Where: kept with `debug` only."""
