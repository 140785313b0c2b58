"""What happened, as frozen values handed to listeners. A listener is synchronous; what it raises is logged, not raised.

`connect` is a number of the call of `Cluster.connect` that a login belongs to, within its cluster; None: the pool's or the
monitor's own login.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from .node import Health, Role

__all__ = [
    "AcquireFailed",
    "ConnectFailed",
    "Connected",
    "DegradedChanged",
    "Event",
    "HealthChanged",
    "Interrupted",
    "Listener",
    "LoginCut",
    "LoginFailed",
    "LoginStarted",
    "LoginSucceeded",
    "NodeAdded",
    "NodeDraining",
    "NodeRemoved",
    "NodeResumed",
    "NodeUpdated",
    "OutcomeUnknown",
    "RoleChanged",
    "RunRetried",
    "SupersededChanged",
    "WriterChanged",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: when (UTC), and in which cluster."""

    at: datetime
    cluster: str


@dataclass(frozen=True, slots=True)
class NodeAdded(Event):
    """A node was registered."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeUpdated(Event):
    """A node has a new address, weight or options for its future logins."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeDraining(Event):
    """A node is to be left: who holds a connection there for long (LISTEN, an advisory lock) should give it back now."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeResumed(Event):
    """A drained node is used again."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeRemoved(Event):
    """A node was forgotten; what was pending on it completes."""

    node: str


@dataclass(frozen=True, slots=True)
class HealthChanged(Event):
    """A node's breaker changed its state, and why."""

    node: str
    old: Health
    new: Health
    cause: str | None


@dataclass(frozen=True, slots=True)
class RoleChanged(Event):
    """A login, or the monitor, showed another role than was known."""

    node: str
    old: Role
    new: Role


@dataclass(frozen=True, slots=True)
class DegradedChanged(Event):
    """The monitor saw that a node serves but is better left alone (a donor, or desynced), and why; `cause` None: no more."""

    node: str
    cause: str | None


@dataclass(frozen=True, slots=True)
class SupersededChanged(Event):
    """A node says that it is the primary and is not taken for it, and why; `cause` None: no more."""

    node: str
    cause: str | None


@dataclass(frozen=True, slots=True)
class WriterChanged(Event):
    """With `writers=N`: a node was elected to take the writes, or is it no more (`writer`)."""

    node: str
    writer: bool


@dataclass(frozen=True, slots=True)
class Interrupted(Event):
    """So many `connections` to a node were closed under their users: it was silent, or its draining took too long."""

    node: str
    connections: int
    cause: str


@dataclass(frozen=True, slots=True)
class LoginStarted(Event):
    """A login began; `reason` is first, all, failure, hedge or failover in a race, probe in the background, or pool."""

    node: str
    reason: str
    connect: int | None = None


@dataclass(frozen=True, slots=True)
class LoginSucceeded(Event):
    """A node let us in after `seconds`; `lost` when its race was over by then."""

    node: str
    seconds: float
    lost: bool
    connect: int | None = None


@dataclass(frozen=True, slots=True)
class LoginFailed(Event):
    """A login failed after `seconds`."""

    node: str
    seconds: float
    error: str
    connect: int | None = None


@dataclass(frozen=True, slots=True)
class LoginCut(Event):
    """A login was ended by us after `seconds`: past its grace, or its node was found down."""

    node: str
    seconds: float
    why: str
    connect: int | None = None


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """A connection was handed to a caller, `seconds` after he asked, by so many `logins`."""

    node: str
    seconds: float
    logins: int
    connect: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectFailed(Event):
    """A caller got an error instead of a connection."""

    seconds: float
    error: str
    connect: int | None = None


@dataclass(frozen=True, slots=True)
class AcquireFailed(Event):
    """A caller got an error instead of a pooled connection, `seconds` after he asked."""

    seconds: float
    error: str


@dataclass(frozen=True, slots=True)
class RunRetried(Event):
    """A unit of work failed in its run number `run` on `node`, was undone, and runs again after `pause` seconds."""

    node: str
    run: int
    error: str
    pause: float


@dataclass(frozen=True, slots=True)
class OutcomeUnknown(Event):
    """Nobody can say whether a transaction on `node` was committed; the caller was told so, or said `idempotent`."""

    node: str
    error: str


class Listener(Protocol):
    """What `Cluster.subscribe` takes."""

    def __call__(self, event: Event, /) -> object:
        """Take note of it; must not block."""
        ...
