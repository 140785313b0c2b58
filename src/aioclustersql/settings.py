"""The keywords of `Cluster`, checked one by one: what is wrong is named, with what to write instead. No I/O."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypedDict, TypeVar

from .errors import ConfigError
from .node import Target
from .policy.ledger import Limits
from .runtime.choice import Stagger
from .runtime.settings import PoolSettings, Settings

__all__ = ["ClusterSettings", "count", "flag", "hook", "lag", "limits", "positive", "read_settings", "seconds"]

if TYPE_CHECKING:
    # What the names of drivers stand for. A package that is not installed makes its class Any; none is imported at run time.
    import aiomysql
    import aiosqlite
    import asyncmy
    import asyncpg
    import psycopg

    Aiomysql: TypeAlias = aiomysql.Connection
    Aiosqlite: TypeAlias = aiosqlite.Connection
    Asyncmy: TypeAlias = asyncmy.Connection
    Asyncpg: TypeAlias = asyncpg.Connection[Any]
    Psycopg: TypeAlias = psycopg.AsyncConnection[Any]

C = TypeVar("C")


class ClusterSettings(TypedDict, Generic[C], total=False):
    """The keywords of `Cluster` but for its nodes and driver, for type checkers; what they mean is said there."""

    name: str
    target: str
    writers: int | None
    max_lag: float | None
    max_lag_bytes: float | None
    stagger: Stagger
    connect_timeout: float
    connect_options: Mapping[str, Any] | None
    init: Callable[[C], Awaitable[object]] | None
    reset: Callable[[C], Awaitable[object]] | bool | None
    min_size: int
    max_size: int
    max_total: int | None
    max_waiting: int
    max_lifetime: float
    max_idle_time: float
    acquire_timeout: float
    run_timeout: float
    attempts: int
    close_timeout: float
    monitor_interval: float | None
    monitor_timeout: float
    monitor_interrupt: bool
    debug: bool


def seconds(value: float | None, default: float, what: str) -> float:
    """A time-out: `None` is the default, `math.inf` none at all. Raises `ValueError` when it is negative or no number."""
    return _not_negative(value, default, f"{what} is seconds, 0 or more, math.inf for no limit, or None for the default")


def lag(value: float | None, default: float, what: str) -> float:
    """How far behind a standby may be: `None` is the default."""
    return _not_negative(value, default, f"{what} is a number, 0 or more, or None for the default")


def _not_negative(value: float | None, default: float, wanted: str) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value) or value < 0:
        raise ValueError(f"{wanted}; not {value!r}")
    return float(value)


def positive(value: float, what: str) -> float:
    """Seconds above 0, or `math.inf`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigError(f"{what} is seconds above 0, or math.inf for no limit; not {value!r}")
    return float(value)


def count(value: int, least: int, what: str) -> int:
    """A whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{what} is a whole number, {least} or more; not {value!r}")
    return value


def flag(value: bool, what: str) -> bool:
    """A yes or no, and nothing that only looks like one."""
    if not isinstance(value, bool):
        raise ConfigError(f"{what} is True or False, not {value!r}")
    return value


def hook(value: Callable[[C], Awaitable[object]] | None, what: str) -> Callable[[C], Awaitable[object]] | None:
    """An async function of a connection."""
    if value is not None and not callable(value):
        raise ConfigError(f"{what} is an async function that takes a connection, not {value!r}")
    return value


def limits(min_size: int, max_size: int, max_total: int | None, max_lifetime: float, max_idle_time: float) -> Limits:
    """The pool's sizes and times. Raises `ConfigError` where they contradict each other."""
    least, most = count(min_size, 0, "min_size"), count(max_size, 1, "max_size")
    if least > most:
        raise ConfigError(f"min_size={least} is above max_size={most}; both are per node")
    total = math.inf if max_total is None else count(max_total, 1, "max_total")
    return Limits(least, most, total, positive(max_lifetime, "max_lifetime"), positive(max_idle_time, "max_idle_time"))


def read_settings(
    *,
    target: Target,
    stagger: Stagger,
    connect_timeout: float,
    init: Callable[[C], Awaitable[object]] | None,
    reset: Callable[[C], Awaitable[object]] | bool | None,
    sizes: Limits,
    max_waiting: int,
    close_timeout: float,
    monitor_interval: float | None,
    monitor_timeout: float,
    debug: bool,
) -> Settings[C]:
    """What runs, out of the keywords. Raises `ConfigError`, or `ValueError` for a negative time-out."""
    if stagger != "auto" and (isinstance(stagger, bool) or stagger != 0):
        raise ConfigError(f"stagger is 'auto' or 0, not {stagger!r}")
    if reset is True:
        raise ConfigError("reset is an async function that takes a connection, None for the reset of the driver alone, or False")
    also: Any = None if reset is None or reset is False else hook(reset, "reset")
    pool: PoolSettings[C] = PoolSettings(
        target=target,
        max_waiting=count(max_waiting, 0, "max_waiting"),
        connect_timeout=connect_timeout,
        init=hook(init, "init"),
        reset=also,
        always_reset=reset is not False,
        debug=flag(debug, "debug"),
    )
    interval = None if monitor_interval is None else positive(monitor_interval, "monitor_interval")
    return Settings(
        stagger=stagger,
        close_timeout=seconds(close_timeout, 5.0, "close_timeout"),
        pool=pool,
        limits=sizes,
        monitor_interval=interval,
        monitor_timeout=positive(monitor_timeout, "monitor_timeout"),
    )
