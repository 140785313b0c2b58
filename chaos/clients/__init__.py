"""Which clients there are, by engine. A client's module is imported when the client is made.

Rule: one file per library; a name here is the client's `name`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from functools import partial

from chaos.client import Client
from chaos.clients.peers import LOGS_IN, peers

__all__ = ["FRESH", "OURS", "TUNED", "clients"]

_OURS: dict[str, str] = {
    "aioclustersql run": "chaos.clients.ours:Run",
    "aioclustersql transaction": "chaos.clients.ours:Transaction",
    "aioclustersql acquire": "chaos.clients.ours:Acquire",
    "aioclustersql connect": "chaos.clients.ours:Connect",
}

_TUNED: dict[str, str] = {"aioclustersql acquire, tuned": "chaos.clients.ours:TunedAcquire"}
_OTHER_DRIVERS: Mapping[str, str] = {"galera": "asyncmy", "postgres": "psycopg"}

OURS = frozenset([*_OURS, *(f"aioclustersql run, {driver}" for driver in _OTHER_DRIVERS.values()), *_TUNED])
"""The names of our own clients: the ones that have to keep the bounds."""

TUNED = frozenset(_TUNED)
"""Those of them that are only played where nothing fails: everywhere else the defaults do."""

FRESH = frozenset(["aioclustersql connect", *LOGS_IN])
"""Those that log in for each unit: ours, and the peers'."""


def clients(engine: str) -> Mapping[str, Callable[[], Client]]:
    """By name, what makes each client for this engine ("galera" or "postgres"); ours come first."""
    run, other = "aioclustersql run", _OTHER_DRIVERS[engine]
    ours = {name: partial(_make, where, engine) for name, where in (_OURS | _TUNED).items()}
    return {**ours, f"{run}, {other}": partial(_make, _OURS[run], engine, other), **peers(engine)}


def _make(where: str, *arguments: str) -> Client:
    factory: Callable[..., Client] = pkgutil.resolve_name(where)
    return factory(*arguments)
