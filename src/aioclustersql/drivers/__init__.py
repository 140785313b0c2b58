"""Drivers by name and by URL scheme; each is imported when it is first used."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from ..dsn import parse_url, redact
from ..errors import ConfigError
from .base import Driver

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

C = TypeVar("C")

__all__ = ["by_name", "checked", "for_url", "names"]

_OURS = {
    "aiomysql": "aioclustersql.drivers.aiomysql:AiomysqlDriver",
    "aiosqlite": "aioclustersql.drivers.aiosqlite:AiosqliteDriver",
    "asyncmy": "aioclustersql.drivers.asyncmy:AsyncmyDriver",
    "asyncpg": "aioclustersql.drivers.asyncpg:AsyncpgDriver",
    "psycopg": "aioclustersql.drivers.psycopg:PsycopgDriver",
}
_SCHEMES = {
    "mysql": "aiomysql",
    "mariadb": "aiomysql",
    "postgresql": "asyncpg",
    "postgres": "asyncpg",
    "sqlite": "aiosqlite",
}
"""What a URL means that names no driver; `mysql+aiomysql://` and the like name theirs after the plus."""
_GROUP = "aioclustersql.drivers"


def names() -> tuple[str, ...]:
    """Our own drivers, whether or not their packages are installed."""
    return tuple(sorted(_OURS))


def by_name(name: str) -> Driver[Any]:
    """The driver of that name: one of ours, or one that an installed package registers as an entry point.

    Raises `ConfigError` for an unknown name, and for a missing package with the extra to install.
    """
    if name in _OURS:
        module, _, attribute = _OURS[name].partition(":")
        try:
            driver: Driver[Any] = getattr(import_module(module), attribute)()
        except ModuleNotFoundError as exc:
            if exc.name is None or exc.name.startswith("aioclustersql"):
                raise
            extra = f"pip install 'aioclustersql[{name}]'"
            raise ConfigError(f"driver {name!r} needs the package {exc.name!r}: {extra}") from exc
        except ImportError as exc:  # psycopg without libpq, and without its binary package, is one
            raise ConfigError(f"driver {name!r}: its package is installed, and cannot be used: {exc}") from exc
        return driver
    found = _registered()
    for entry in found:
        if entry.name == name:
            loaded: Driver[Any] = entry.load()()
            return loaded
    known = sorted({*_OURS, *(entry.name for entry in found)})
    near = difflib.get_close_matches(str(name), known, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"driver {name!r} is unknown; installed: {', '.join(known)}{hint}")


def checked(driver: Driver[C] | None) -> Driver[C] | None:
    """A driver that was given as an object. Raises `ConfigError` for what is none, such as its class or its module."""
    if driver is None or (not isinstance(driver, type) and callable(getattr(driver, "validate", None))):
        return driver
    raise ConfigError(f"driver is a name or a Driver object, not {driver!r}")


def for_url(dsn: str) -> Driver[Any]:
    """The driver that a node's URL tells by its scheme."""
    scheme = parse_url(dsn).scheme
    plain, plus, named = scheme.partition("+")
    if plus:
        return by_name(named)
    if plain in _SCHEMES:
        return by_name(_SCHEMES[plain])
    for entry in _registered():
        if entry.name not in _OURS and scheme in entry.load().schemes:
            return by_name(entry.name)
    raise ConfigError(f"{redact(dsn)!r}: no driver for {scheme!r}; known schemes: {', '.join(sorted(_SCHEMES))}")


def _registered() -> EntryPoints:
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    return entry_points(group=_GROUP)
