"""Who is registered: the nodes of one cluster by name, and the driver that they have in common.

What is known of a node is its `Member`; what happens to one is the `registry`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ..drivers.base import Driver
from ..errors import ConfigError, UnknownNode
from .failures import labelled
from .member import Member

__all__ = ["Roster"]

C = TypeVar("C")


class Roster(Generic[C]):
    """The nodes of one cluster, by name."""

    def __init__(self, name: str, driver: Driver[C] | None, *, writers: int | None) -> None:
        self.cluster = name
        self._writers = writers
        self._driver: Driver[C] | None = None
        if driver is not None:
            self.driver = driver
        self._members: dict[str, Member[C]] = {}
        self.members: tuple[Member[C], ...] = ()
        self.candidates: tuple[Member[C], ...] = ()
        """The members that are not being drained."""
        self.unsettled: set[Member[C]] = set()

    @property
    def driver(self) -> Driver[C]:
        """The driver of all nodes."""
        if self._driver is None:
            raise ConfigError(f"cluster {self.cluster!r} has no driver yet: give driver=..., or add a node whose URL tells it")
        return self._driver

    @driver.setter
    def driver(self, driver: Driver[C]) -> None:
        if self._writers is not None and not driver.multi_primary:
            raise ConfigError(
                f"writers={self._writers} elects the nodes that take writes where several can (Galera); "
                f"{driver.name}'s servers have one primary, which the cluster finds by itself: leave writers out"
            )
        self._driver = driver

    @property
    def has_driver(self) -> bool:
        """Whether the driver is known by now."""
        return self._driver is not None

    def _changed(self) -> None:
        self.members = tuple(self._members.values())
        self.candidates = tuple(member for member in self.members if not member.draining)
        self.unsettled = {member for member in self.members if not member.settled}

    def names(self) -> tuple[str, ...]:
        """The registered names, sorted."""
        return tuple(sorted(self._members))

    def get(self, name: str) -> Member[C]:
        """The node of that name. Raises `UnknownNode`."""
        try:
            return self._members[name]
        except KeyError:
            known = ", ".join(self.names()) or "none"
            raise UnknownNode(f"cluster {self.cluster!r} has no node {name!r}; registered: {known}") from None

    def find(self, name: str) -> Member[C] | None:
        """The node of that name, if it is registered."""
        return self._members.get(name)

    def address_of(self, name: str) -> str:
        """Where a node is; its name for one that is not registered any more."""
        member = self._members.get(name)
        return name if member is None else member.endpoint.address

    def each(self, doing: Callable[[Member[C]], str]) -> str:
        """What every node is doing, in one line for a message."""
        members = sorted(self.members, key=lambda member: member.name)
        return "; ".join(f"{labelled(member.name, member.endpoint.address)}: {doing(member)}" for member in members)

    def is_current(self, member: Member[C]) -> bool:
        """Whether this very node is still registered (a node added anew under its name is another)."""
        return self._members.get(member.name) is member
