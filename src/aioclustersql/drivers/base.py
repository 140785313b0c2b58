"""The Driver protocol: all that the cluster knows about a database. One file per driver implements it.

A driver holds no state of the cluster, starts no task, sets no deadline of its own and retries nothing: deadlines, disposal
and retries are the caller's. It passes native connections through and never wraps them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Protocol, TypeVar, runtime_checkable

from ..errors import ConfigError
from ..failure import FailureKind
from ..node import Isolation, Role, Target

__all__ = [
    "Driver",
    "Endpoint",
    "Observation",
    "Password",
    "TasklessReset",
    "Transaction",
    "TransactionOptions",
    "check_savepoint",
    "resolve_password",
]

C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)

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


async def resolve_password(endpoint: Endpoint) -> str | None:
    """The password for the login that is about to begin."""
    given = endpoint.password
    if callable(given):
        value = given()
        return await value if isawaitable(value) else value
    return given


@dataclass(frozen=True, slots=True)
class Observation:
    """What a node says of itself when it is probed."""

    role: Role
    ready: bool = True
    """Whether it serves queries; a Galera node outside the primary component does not."""
    degraded: bool = False
    """It serves, but is better left alone: a donor of a state transfer, or desynced."""
    cause: str | None = None
    """Why it is not ready, or degraded."""
    timeline: int | None = None
    """PostgreSQL's history: a promotion begins a new one, so that of two primaries the one with the greater is the true one."""
    lag: float | None = None
    """Seconds that it is behind; 0.0 where nothing is followed, `None` where it cannot be known."""
    lag_bytes: int | None = None
    """The same in bytes of the log, where the server tells."""


@dataclass(frozen=True, slots=True)
class TransactionOptions:
    """How a transaction begins; `isolation=None` is the session's own."""

    isolation: Isolation | None = None
    readonly: bool = False
    deferrable: bool = False


_DEFAULTS = TransactionOptions()


def check_savepoint(options: TransactionOptions) -> None:
    """Raise `ConfigError` for options that a savepoint cannot have: they are the whole transaction's."""
    if options != _DEFAULTS:
        raise ConfigError("isolation, readonly and deferrable are the outer transaction's; inside of one they cannot be given")


class Transaction(Protocol):
    """A transaction, or a savepoint, that `Driver.begin` began. Ended once."""

    async def commit(self) -> None:
        """Make it last (a savepoint: release it)."""
        ...

    async def rollback(self) -> None:
        """Undo it."""
        ...


class Driver(Protocol[C]):
    """What a database driver must offer. `C` is the class of its native connections."""

    name: str
    """As in `Cluster(driver=...)`."""
    schemes: frozenset[str]
    """The URL schemes that mean this driver, in lower case."""
    multi_primary: bool
    """Whether several nodes may take writes at once (Galera), so that `writers=` has a meaning: which of them are to."""

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

    async def ping(self, conn: C) -> None:
        """One round trip, as cheap as can be, that only a node which serves answers. Raises the driver's own error."""
        ...

    async def baseline(self, conn: C) -> object:
        """What `reset` is to restore of a new connection's session: what `init` set, above all.

        Asked once, after `init`, and only where there is one; `reset` gets `None` otherwise.
        """
        ...

    async def reset(self, conn: C, baseline: object) -> None:
        """Make a used connection as good as new, in one round trip where the protocol allows.

        Rolls back, drops temporary tables, locks and session variables, goes back to the login's role, database and settings
        (charset, autocommit, `init_command`, `server_settings`) and to the `baseline`. Prepared statements go too, unless the
        driver's own cache of them would. Raises when it cannot, as in the middle of a result: the connection is to be closed.
        """
        ...

    def in_transaction(self, conn: C) -> bool:
        """Whether a transaction is open there, as the server's last answer said. No I/O.

        On a closed connection too it is the last answer: it tells a unit that was rolled back with the connection, and may run
        again, from one that had committed by then.
        """
        ...

    async def begin(self, conn: C, options: TransactionOptions) -> Transaction:
        """Begin a transaction, explicitly; inside of one, set a savepoint (then `options` must be the default ones).

        The autocommit mode is on meanwhile, and restored at the end, so that an implicit commit (DDL) shows in `in_transaction`.
        Read write unless `readonly`: a standby refuses it (`ROLE_CHANGED`). Raises `ConfigError` for what the server has not, and
        for a savepoint's options.
        """
        ...

    async def probe(self, conn: C, *, causal: bool) -> Observation:
        """What the node says of itself, in one round trip. `causal`: only after it has caught up with its cluster, where
        there is such a thing (Galera's `wsrep_sync_wait`): a node that was frozen lies for some seconds.

        A node that says itself that it does not serve is `ready=False`; what fails otherwise raises.
        """
        ...

    def last_received(self, conn: C) -> float | None:
        """How many seconds ago the server last sent anything, as the operating system knows; `None`: it does not say."""
        ...

    def unwrap(self, conn: object) -> object:
        """The native connection inside a proxy that the driver's own pool hands out; anything else as it is."""
        ...

    def classify(self, exc: BaseException) -> FailureKind:
        """What an exception of this driver (or of the socket below it) means."""
        ...


@runtime_checkable
class TasklessReset(Protocol[C_contra]):
    """What a driver may offer besides: a reset that needs no task, which costs as much as all else of a short one."""

    def begin_reset(self, conn: C_contra, baseline: object, answered: Callable[[bool], None]) -> bool:
        """Begin what `Driver.reset` does, and return at once; False: nothing was begun, `reset` has to do it all.

        `answered` is called once, from the event loop: with True when the server has answered as it usually does, so that the
        connection is as good as new; with False when it has not, or when the connection has ended: see `finish_reset`.
        """
        ...

    async def finish_reset(self, conn: C_contra, baseline: object) -> None:
        """Read an answer that was not the usual one; raises as `Driver.reset`."""
        ...
