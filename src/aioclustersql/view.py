"""A cluster with other defaults: `with_options` makes one. State is the cluster's; this only fills in what a call leaves out."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from .connecting import Connecting
from .errors import ConfigError
from .node import Target
from .runtime.connector import Connector

__all__ = ["ClusterView", "Defaults", "seconds"]

C = TypeVar("C")


def seconds(value: float | None, default: float, what: str) -> float:
    """A time-out: `None` is the default, `math.inf` none at all. Raises `ValueError` when it is negative or no number."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value) or value < 0:
        raise ValueError(f"{what} is seconds, 0 or more, math.inf for no limit, or None for the default; not {value!r}")
    return float(value)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a call uses when it does not say."""

    target: Target
    timeout: float
    wait: bool = False


class ClusterView(Generic[C]):
    """The same cluster, asked with other defaults."""

    __slots__ = ("_close_timeout", "_connector", "_defaults", "_in_use")

    def __init__(self, connector: Connector[C], defaults: Defaults, close_timeout: float, in_use: Callable[[], bool]) -> None:
        self._connector = connector
        self._defaults = defaults
        self._close_timeout = close_timeout
        self._in_use = in_use

    @property
    def target(self) -> Target:
        """The default target."""
        return self._defaults.target

    def __repr__(self) -> str:
        defaults = self._defaults
        return f"<ClusterView target={defaults.target}, timeout={defaults.timeout:g}, wait={defaults.wait}>"

    def with_options(
        self, *, target: str | None = None, timeout: float | None = None, wait: bool | None = None
    ) -> ClusterView[C]:
        """This view with other defaults; what is left out stays. See `Cluster.with_options`."""
        own = self._defaults
        defaults = replace(
            own,
            target=own.target if target is None else Target.parse(target),
            timeout=seconds(timeout, own.timeout, "timeout"),
            wait=own.wait if wait is None else wait,
        )
        return ClusterView(self._connector, defaults, self._close_timeout, self._in_use)

    def connect(
        self,
        dsn: str | None = None,
        *,
        target: str | None = None,
        timeout: float | None = None,
        wait: bool | None = None,
        **connect_options: Any,
    ) -> Connecting[C]:
        """Open a connection; see `Cluster.connect`."""
        if dsn is not None:
            raise ConfigError("connect() takes no address ('dsn'): the nodes are the cluster's; register them with add_node")
        own = self._defaults
        wanted = own.target if target is None else Target.parse(target)
        limit = own.timeout if timeout is None else seconds(timeout, own.timeout, "timeout")
        again = own.wait if wait is None else wait

        def open_() -> Coroutine[Any, Any, C]:
            return self._connector.connect(wanted, limit, connect_options, wait=again, in_use=self._in_use())

        return Connecting(open_, self.close)

    async def close(self, conn: C) -> None:
        """Say goodbye to a connection that `connect` handed out, bounded by the cluster's `close_timeout`."""
        # A cancelled caller leaves at once, and the goodbye goes on in its own bounded task.
        await asyncio.wait([self._connector.close_connection(conn, self._close_timeout)])
