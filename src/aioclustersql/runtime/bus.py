"""Hands events to listeners. Costs one check while nobody listens; a listener's error is logged and goes no further."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from ..events import Event, Listener

__all__ = ["Bus"]

_log = logging.getLogger("aioclustersql")


class Bus:
    """The listeners of one cluster; the tuple is replaced, never changed."""

    __slots__ = ("_cluster", "listeners")

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self.listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on; returns the function that ends it (twice does no harm)."""
        entry = [listener]
        self.listeners = (*self.listeners, listener)

        def unsubscribe() -> None:
            if entry:
                remaining = list(self.listeners)
                remaining.remove(entry.pop())
                self.listeners = tuple(remaining)

        return unsubscribe

    def emit(self, kind: Callable[..., Event], **fields: object) -> None:
        """Build and hand out an event of that class, if anybody listens."""
        if not self.listeners:
            return
        event = kind(at=datetime.now(UTC), cluster=self._cluster, **fields)
        for listener in self.listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - whatever a listener raises is its own
                _log.exception("cluster %s: a listener failed on %s", self._cluster, type(event).__name__)
