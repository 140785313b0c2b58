"""Which processors run what, where the libraries have one to themselves and the servers have the others.

Servers mostly have machines of their own. Where both are busy without a pause and the system moves them about on the same
processors, half of what is measured are its choices. Rule: what is started within `servers_cores()` stays there. With one
processor there is nothing to divide.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager

__all__ = ["apart", "own_core", "servers_cores"]


_ALL = frozenset(os.sched_getaffinity(0))
"""Those that this process was given."""
_OWN = frozenset({min(_ALL)})


def apart() -> bool:
    """Whether there is one for the libraries and another for the servers."""
    return _OWN != _ALL


@contextmanager
def own_core() -> Iterator[None]:
    """Within the block this thread, and what it starts, has one processor."""
    with _on(_OWN):
        yield


@contextmanager
def servers_cores() -> Iterator[None]:
    """Within the block this thread, and what it starts, has all the others."""
    with _on(_ALL - _OWN or _ALL):
        yield


@contextmanager
def _on(cores: Set[int]) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
