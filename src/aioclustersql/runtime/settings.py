"""The keywords of `Cluster` that concern what runs, checked by then. Times are seconds. Values only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..node import Target
from ..policy.ledger import Limits
from .choice import Stagger

__all__ = ["PoolSettings", "Settings"]

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class PoolSettings(Generic[C]):
    """What stays the same while a pool is open."""

    target: Target
    """For connections that nobody waits for."""
    max_waiting: int
    connect_timeout: float
    init: Callable[[C], Awaitable[object]] | None
    reset: Callable[[C], Awaitable[object]] | None
    always_reset: bool
    """False: only what comes back in a transaction is reset."""
    debug: bool


@dataclass(frozen=True, slots=True)
class Settings(Generic[C]):
    """The keywords of `Cluster` that concern what runs, checked. Times are seconds."""

    stagger: Stagger
    close_timeout: float
    pool: PoolSettings[C]
    limits: Limits
    monitor_interval: float | None
    monitor_timeout: float
