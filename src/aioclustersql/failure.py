"""What a failure means, in one word per meaning. Drivers classify into it, policies decide by it."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["FailureKind"]


class FailureKind(StrEnum):
    """The meaning of a driver's exception, whatever its type and code.

    The codes behind each word are in the drivers' tables; what each word allows is decided in `policy`.
    """

    CONFIGURATION = "configuration"
    """Time does not heal it: wrong password, no such database, no right, TLS refused, no such host name."""
    OVERLOADED = "overloaded"
    """The server has no connection left (1040, 1203, 53300): it is up, and busy."""
    HOST_BLOCKED = "host-blocked"
    """The server has blocked this client host after too many interrupted handshakes (1129)."""
    UNREACHABLE = "unreachable"
    """Nobody serves there now: refused, no route, starting up, shutting down (57P03, 1053 at login)."""
    NOT_READY = "not-ready"
    """The server lets in but serves nothing: a Galera node outside the primary component (1047)."""
    TIMEOUT = "timeout"
    """No answer in time."""
    SESSION_LOST = "session-lost"
    """The connection is gone: reset, end of file, killed, server gone (2006, 2013, 57P01, 08xxx)."""
    IDLE_CLOSED = "idle-closed"
    """The server closed a connection for being idle (4031, 57P05)."""
    FOUND_CLOSED = "found-closed"
    """The connection was closed already before anything was sent on it."""
    ROLE_CHANGED = "role-changed"
    """The node takes no writes (1290, 1792, 1836, 25006): it was demoted, or is read only."""
    ROLLED_BACK = "rolled-back"
    """The server rolled the transaction back; the whole unit may run again (1213, 3101, 40001, 40P01)."""
    TRANSACTION_ENDED = "transaction-ended"
    """The server ended the transaction by a time-out of its own (25P03, 25P04)."""
    LOCK_TIMEOUT = "lock-timeout"
    """A lock was not had in time; the transaction is still open (1205)."""
    INTERRUPTED = "interrupted"
    """Cancelled or timed out on purpose by somebody (1317, 1969, 3024, 57014, 55P03)."""
    STALE_PLAN = "stale-plan"
    """A cached statement no longer fits the schema (0A000 "cached plan"): again, on the same node."""
    OUTCOME_UNKNOWN = "outcome-unknown"
    """The server itself cannot say whether it was done (08007, 40003, 1180)."""
    OTHER = "other"
    """Anything else: the statement's or the caller's own fault, surfaced as it is."""
