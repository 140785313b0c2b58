"""Closes connections that are open on a silent node, so that nobody waits for TCP's quarter of an hour; and remembers why.

Which node is silent is the monitor's verdict. Rule: whoever's connection was closed can ask for the reason.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from ..drivers.base import Driver
from .journal import Journal
from .member import Member

__all__ = ["Interruptions"]

C = TypeVar("C")


class Interruptions(Generic[C]):
    """The connections of one cluster that were closed under their users."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._reasons: dict[int, tuple[weakref.ref[Any], str]] = {}

    def interrupt(self, driver: Driver[C], member: Member[C], conns: Iterable[C], cause: str) -> int:
        """Terminate these connections to a node; one event and one log line for all. How many they were."""
        count = 0
        for conn in conns:
            self._note(conn, f"this connection to node {member.name!r} was closed by the cluster: {cause}")
            driver.terminate(conn)
            count += 1
        if count:
            self._journal.interrupted(member, count, cause)
        return count

    def reason(self, conn: object) -> str | None:
        """Why this connection was interrupted, for a note to the error that its user sees; `None` when it was not."""
        entry = self._reasons.get(id(conn))
        return entry[1] if entry is not None and entry[0]() is conn else None

    def _note(self, conn: C, reason: str) -> None:
        key = id(conn)
        with suppress(TypeError):  # it takes no weak reference
            self._reasons[key] = (weakref.ref(conn, lambda _: self._reasons.pop(key, None) and None), reason)
