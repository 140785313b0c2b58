"""Which clients there are, by engine. A client's module is imported when the client is made.

Rule: one file per library; a name here is the client's `name`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from functools import partial

from chaos.client import Client
from chaos.clients.peers import peers

__all__ = ["OURS", "clients"]

_OURS: Mapping[str, str] = {
    "aioclustersql run": "chaos.clients.ours:Run",
    "aioclustersql transaction": "chaos.clients.ours:Transaction",
    "aioclustersql acquire": "chaos.clients.ours:Acquire",
    "aioclustersql connect": "chaos.clients.ours:Connect",
}

OURS = frozenset(_OURS)
"""The names of our own clients: the ones that have to keep the bounds."""


def clients(engine: str) -> Mapping[str, Callable[[], Client]]:
    """By name, what makes each client for this engine ("galera" or "postgres"); ours come first."""
    ours = {name: partial(_make, where, engine) for name, where in _OURS.items()}
    return {**ours, **peers(engine)}


def _make(where: str, engine: str) -> Client:
    factory: Callable[[str], Client] = pkgutil.resolve_name(where)
    return factory(engine)
