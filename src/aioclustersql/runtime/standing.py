"""The place of each node among the others: which is the true primary, which take the writes, and so what each may serve.

Decided in `policy`. Rule: what a node says of itself is `Member.role`; what it is taken for is `Member.fits`, changed only here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, TypeVar

from ..errors import NodeNotFit
from ..node import Role, Target, Wants
from ..policy.election import Claim, Nominee, elect, superseded
from ..policy.ranking import Fit, fits, lags
from .journal import Journal
from .member import Member

__all__ = ["Standing"]

C = TypeVar("C")

_MAY_WRITE = frozenset({Role.UNKNOWN, Role.PEER, Role.PRIMARY})
_WRITES = frozenset({Target.READ_WRITE, Target.PRIMARY})


class Standing(Generic[C]):
    """The nodes of one cluster, seen side by side. `writers`: so many of them take the writes; `None`: all that can."""

    def __init__(self, journal: Journal, writers: int | None) -> None:
        self._journal = journal
        self._writers = writers
        self._elected = ""
        self.stale_after = math.inf
        """An observation older than so many seconds says nothing of how far a standby is behind."""

    def settle(self, members: Sequence[Member[C]]) -> list[Member[C]]:
        """Work it out anew, after anything about a node changed. The nodes that are taken for something else than before."""
        self._supersede(members)
        if self._writers is not None:
            self._elect(members, self._writers)
        return [member for member in members if member.place()]

    def serves(self, member: Member[C], wants: Wants, now: float) -> Fit:
        """How well the node serves that, as far as is known; whether it is up is another question (`Member.usable`).

        A standby whose lag is unknown, or was observed too long ago, is too far behind for who sets a limit.
        """
        if member.draining:
            return Fit.NO
        fitness = member.fits[wants.target]
        if fitness is Fit.NO or not wants.fresh or member.role not in (Role.STANDBY, Role.UNKNOWN) or wants.target in _WRITES:
            return fitness
        stale = now - member.observed_at > self.stale_after
        return Fit.NO if stale or lags(wants, member.lag, member.lag_bytes) else fitness

    def to_ask(self, target: Target) -> Target:
        """What a login for `target` asks the driver, to which no peer is a standby: beside elected writers it is one."""
        return Target.PREFER_STANDBY if target is Target.STANDBY and self._writers is not None else target

    def judge(self, member: Member[C], role: Role, wants: Wants, now: float) -> Fit:
        """How a connection serves that was just validated as `role`. Raises `NodeNotFit` that says why it does not."""
        target = wants.target
        if member.draining:
            raise NodeNotFit("it is being drained")
        if role is member.role:
            known = member.fits
        else:
            known = fits(role, writer=member.writer, superseded=member.superseded is not None and role is Role.PRIMARY)
        fitness = known[target]
        if fitness is Fit.NO:
            raise NodeNotFit(self._misfit(member, role, target))
        if wants.fresh and self.serves(member, wants, now) is Fit.NO:
            raise NodeNotFit(_too_far_behind(member))
        return fitness

    def _misfit(self, member: Member[C], role: Role, target: Target) -> str:
        if member.superseded is not None and role is Role.PRIMARY:
            return member.superseded
        if member.writer is False and target in _WRITES and role in _MAY_WRITE:
            return f"it is none of the nodes elected to take the writes ({self._elected or 'there is none now'})"
        hint = ""
        if target is Target.STANDBY:
            hint = "; target='prefer-standby' reads from it where there is no standby"
        return f"its role is {role}, which is not {target}{hint}"

    def _supersede(self, members: Sequence[Member[C]]) -> None:
        causes = superseded(
            Claim(member.name, member.timeline, member.usable)
            for member in members
            if member.role is Role.PRIMARY and member.timeline is not None
        )
        for member in members:
            before, member.superseded = member.superseded, causes.get(member.name)
            if (member.superseded is None) is not (before is None):
                member.changed()
                self._journal.superseded(member, member.superseded)

    def _elect(self, members: Sequence[Member[C]], count: int) -> None:
        nominees = [
            Nominee(
                member.name,
                member.weight,
                member.usable and not member.draining and member.role in _MAY_WRITE,
                member.degraded is not None,
            )
            for member in members
        ]
        # One that has not yet answered sits by its name alone, whatever the order in which the nodes were registered.
        sitting = {member.name for member in members if member.writer and member.heard_at != -math.inf}
        elected = elect(nominees, count, sitting)
        self._elected = ", ".join(sorted(elected))
        for member in members:
            before, member.writer = member.writer, member.name in elected
            if member.writer is not bool(before):
                self._journal.writer(member)


def _too_far_behind(member: Member[C]) -> str:
    if member.lag is None and member.lag_bytes is None:
        return "how far it is behind is not known, and a limit was asked for; the monitor of an open cluster looks at that"
    return f"it is {member.lag} s and {member.lag_bytes} bytes behind, which is more than was asked for, or too long ago"
