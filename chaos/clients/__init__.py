"""Which clients there are, by engine. A client's module is imported when the client is made: a peer's library may be missing.

Rule: one file per library; a name here is the client's `name`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from functools import partial

from chaos.client import Client

__all__ = ["OURS", "clients"]

_OURS: Mapping[str, str] = {
    "aioclustersql run": "chaos.clients.ours:Run",
    "aioclustersql transaction": "chaos.clients.ours:Transaction",
    "aioclustersql acquire": "chaos.clients.ours:Acquire",
    "aioclustersql connect": "chaos.clients.ours:Connect",
}
_PEERS: Mapping[str, Mapping[str, str]] = {
    "galera": {},
    "postgres": {},
}

OURS = frozenset(_OURS)
"""The names of our own clients: the ones that have to keep the bounds."""


def clients(engine: str) -> Mapping[str, Callable[[], Client]]:
    """By name, what makes each client for this engine ("galera" or "postgres"); ours come first."""
    return {name: partial(_make, name, where, engine) for name, where in {**_OURS, **_PEERS[engine]}.items()}


def _make(name: str, where: str, engine: str) -> Client:
    try:
        factory: Callable[[str], Client] = pkgutil.resolve_name(where)
    except ImportError as error:
        raise RuntimeError(f"{name} needs a package that is not installed: pip install --group bench ({error})") from error
    return factory(engine)
