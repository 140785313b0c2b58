"""A cluster that is in use when its process forks, or when its event loop ends.

Rule: nothing of this is looked at on the way to a connection. A child of a fork finds the cluster unusable, with the reason; a
loop that ends closes it, with one warning.
"""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import AsyncGenerator
from typing import Protocol

__all__ = ["Guarded", "forked", "guard", "register"]

FAREWELL = 0.5
"""Seconds that a loop's end waits for goodbyes; whoever forgot to close is not to wonder why his program hangs."""


class Guarded(Protocol):
    """What is registered: all that runs for one cluster."""

    is_open: bool

    def left_behind(self) -> None:
        """This is the child of a fork: what was in use is the parent's."""
        ...

    async def close_unasked(self, timeout: float) -> str:
        """Close, as the loop is about to end; the cluster's name."""
        ...


_registered: weakref.WeakSet[Guarded] = weakref.WeakSet()


def register(engine: Guarded) -> None:
    """Tell it when the process has forked."""
    _registered.add(engine)


def forked(cluster: str) -> str:
    """What a user in the child is told."""
    return (
        f"cluster {cluster!r} was in use when this process ({os.getpid()}) was forked off: its connections are the parent's; "
        "make a cluster in the child, or fork before the first use"
    )


def _in_child() -> None:
    for engine in tuple(_registered):
        _of_the_parent.append(engine)
        engine.left_behind()


_of_the_parent: list[Guarded] = []
"""Kept, since what is thrown away closes its sockets, and would unregister them with the selector that parent and child share."""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


async def guard(engine: Guarded) -> AsyncGenerator[None, None]:
    """Begun when a cluster is opened, and closed with it. `asyncio.run` closes those that are left: then nobody has."""
    try:
        yield
    finally:
        if engine.is_open:
            name = await engine.close_unasked(FAREWELL)
            warnings.warn(
                f"cluster {name!r} was not closed before its event loop ended: use `async with cluster`, or await its close()",
                RuntimeWarning,
                stacklevel=2,
            )
