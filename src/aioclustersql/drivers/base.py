"""The Driver protocol: all that the cluster knows about a database. One file per driver implements it.

A driver holds no state of the cluster, starts no task, sets no deadline of its own and retries nothing: deadlines, disposal
and retries are the caller's. It passes native connections through and never wraps them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ..failure import FailureKind
from ..node import Role, Target

__all__ = ["Driver", "Endpoint", "Password"]

C = TypeVar("C")

Password = str | Callable[[], str | Awaitable[str]] | None
"""A password, or what is called before each login to get one (rotated secrets, IAM tokens)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a node is and how to log in: what a driver made of a DSN and of the options.

    `address` is what messages show ("10.0.0.1:5432", "[::1]:5432", "/run/x.sock"). `arguments` are the keyword arguments of
    the driver's own connect but for the password; `extra` is the driver's own (TLS settings not yet loaded, say).
    """

    address: str
    arguments: Mapping[str, Any] = field(repr=False)
    password: Password = field(default=None, repr=False)
    extra: Any = field(default=None, repr=False)


class Driver(Protocol[C]):
    """What a database driver must offer. `C` is the class of its native connections."""

    name: str
    """As in `Cluster(driver=...)`."""
    schemes: frozenset[str]
    """The URL schemes that mean this driver, in lower case."""

    def parse(self, dsn: str, options: Mapping[str, Any]) -> Endpoint:
        """Check a node's URL and its connect options; no I/O. `options` go over the URL's.

        Raises `ConfigError` that names the part, and for an unknown option the nearest known one.
        """
        ...

    def override(self, endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
        """`endpoint` with the options of one connect over it. An address or a user is a `ConfigError` by name."""
        ...

    async def connect(self, endpoint: Endpoint, password: str | None) -> C:
        """Log in. No time-out of its own. When cancelled, leaves no socket behind; raises the driver's own errors."""
        ...

    async def validate(self, conn: C, target: Target) -> Role:
        """See that a fresh connection is served, as cheaply as the protocol allows, and what `target` needs of its role.

        Returns the role where it is known (else `Role.UNKNOWN`); the caller decides whether it fits. Raises the driver's own
        error when the node serves nothing (1047), and `NodeNotFit` where the target has no meaning there.
        """
        ...

    async def close(self, conn: C) -> None:
        """Say goodbye and close. May hang on a frozen server: the caller bounds it. Closed connections are fine."""
        ...

    def terminate(self, conn: C) -> None:
        """Close the socket at once, without a goodbye; never waits, never raises."""
        ...

    def is_closed(self, conn: C) -> bool:
        """Whether the client side knows that this connection is closed."""
        ...

    def unwrap(self, conn: object) -> object:
        """The native connection inside a proxy that the driver's own pool hands out; anything else as it is."""
        ...

    def classify(self, exc: BaseException) -> FailureKind:
        """What an exception of this driver (or of the socket below it) means."""
        ...
