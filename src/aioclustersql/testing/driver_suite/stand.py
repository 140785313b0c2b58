"""What the suite has to be told: a driver, a server, and the few statements that differ from database to database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aioclustersql.drivers.base import Driver
from aioclustersql.failure import FailureKind

__all__ = ["Stand"]


@dataclass(frozen=True, kw_only=True)
class Stand:
    """A driver, and a server to try it on. The suite makes and drops a table `aioclustersql_suite` there."""

    driver: Driver[Any]
    dsn: str
    """The URL of a server that takes writes; the user may create tables. Its password must not occur elsewhere in it."""
    native: type
    """The class of the driver's connections."""
    rows: Callable[[Any, str], Awaitable[Sequence[Sequence[Any]]]]
    """Run one statement on a native connection, and return its rows, if it has any."""
    slow: str
    """A statement that keeps the server busy for ten seconds or more, and writes nothing."""
    set_setting: str
    """A statement that changes a setting of the session ..."""
    show_setting: str
    """... and the query whose first value shows it."""
    dsn_at: Callable[[int], str] | None = None
    """The same URL with another port of 127.0.0.1; for `NetworkDriverSuite`."""
    address: tuple[str, int] = ("127.0.0.1", 0)
    """Host and port of the server; for `NetworkDriverSuite`."""
    kill: Callable[[Any], Awaitable[object]] | None = None
    """End the session of a connection from the server's side; for `NetworkDriverSuite`."""
    refused: Mapping[str, FailureKind] = field(default_factory=dict)
    """URLs of logins that fail, and what their failure means: a wrong password, a missing database."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Connect options of every login."""
