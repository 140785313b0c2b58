"""What the registry tells the pool, of nodes that changed, and the monitor, of nodes to look at: protocols, and who does nothing.

Rule: these are called synchronously, after the change is complete, and must not raise.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from .member import Member

__all__ = ["Hooks", "NoHooks", "Unwatched", "Watcher"]

C = TypeVar("C")


class Hooks(Protocol[C]):
    """What the pool wants to know."""

    def changed(self, member: Member[C]) -> None:
        """Its health, role, lag, place, weight or draining is another: waiters may be served there now, or no more."""
        ...

    def lost(self, member: Member[C], cause: str, *, silent: bool) -> None:
        """It was found down: its idle connections are no good. `silent`: nor is anything that is open there.

        Its generation has grown already. May come twice for one outage: a node found down may be found silent later.
        """
        ...

    def connections(self, member: Member[C]) -> Iterable[C]:
        """The pool's open connections there, idle and leased: bytes received on one are a sign of life."""
        ...


class NoHooks(Generic[C]):
    """There is no pool."""

    def changed(self, member: Member[C]) -> None:
        """As `Hooks.changed`."""

    def lost(self, member: Member[C], cause: str, *, silent: bool) -> None:
        """As `Hooks.lost`."""

    def connections(self, member: Member[C]) -> Iterable[C]:  # noqa: ARG002 - as the protocol has it
        """As `Hooks.connections`."""
        return ()


class Watcher(Protocol[C]):
    """What the monitor wants to know."""

    watching: bool
    """Whether it looks at the nodes itself, and its answers alone bring a node up."""

    def look_at(self, member: Member[C]) -> None:
        """Something gives reason to doubt what is known of the node: ask it now."""
        ...

    def rethink(self) -> None:
        """Nodes have come, gone or changed: how often to ask may be another."""
        ...


class Unwatched(Generic[C]):
    """There is no monitor: health comes from logins only."""

    watching = False

    def look_at(self, member: Member[C]) -> None:
        """As `Watcher.look_at`."""

    def rethink(self) -> None:
        """As `Watcher.rethink`."""
