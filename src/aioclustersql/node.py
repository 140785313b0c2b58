"""What a node is, and what is known of it: frozen values, no behaviour."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from .dsn import redact
from .errors import ConfigError

__all__ = ["Health", "Isolation", "Node", "Role", "Target", "Wants"]


class Target(StrEnum):
    """Which node is wanted, in the words of libpq's `target_session_attrs`."""

    ANY = "any"
    READ_WRITE = "read-write"
    PRIMARY = "primary"
    PREFER_STANDBY = "prefer-standby"
    STANDBY = "standby"
    READ_ONLY = "read-only"

    @classmethod
    def parse(cls, value: str) -> Target:
        """The target of that name. Raises `ConfigError` naming all of them."""
        try:
            return cls(value)
        except ValueError:
            known = ", ".join(cls)
            raise ConfigError(f"target {value!r} is unknown; it is one of {known}") from None


class Role(StrEnum):
    """What a node was at its last login. It is memory: only the next login tells."""

    UNKNOWN = "unknown"
    PRIMARY = "primary"
    """It takes writes; others may follow it."""
    READ_ONLY = "read-only"
    """No standby, but it refuses writes: default_transaction_read_only, or read_only on a Galera node."""
    STANDBY = "standby"
    """It follows a primary and takes no writes."""
    PEER = "peer"
    """A node of a multi-primary cluster (Galera): all take writes, there is no standby to prefer."""


class Health(StrEnum):
    """The breaker's state."""

    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"
    HALF_OPEN = "half-open"


class Isolation(StrEnum):
    """A transaction's isolation level, in the words of the SQL standard."""

    READ_UNCOMMITTED = "read uncommitted"
    READ_COMMITTED = "read committed"
    REPEATABLE_READ = "repeatable read"
    SERIALIZABLE = "serializable"

    @classmethod
    def parse(cls, value: str) -> Isolation:
        """The level of that name, in any case, with blanks, `_` or `-` between the words. Raises `ConfigError`."""
        try:
            return cls(value.lower().replace("_", " ").replace("-", " "))
        except (AttributeError, ValueError):
            raise ConfigError(f"isolation {value!r} is unknown; it is one of {', '.join(cls)}") from None


class Wants(NamedTuple):
    """Which node is wanted: a role, and how far behind a standby may be (seconds and bytes; infinite: however far)."""

    target: Target = Target.READ_WRITE
    max_lag: float = math.inf
    max_lag_bytes: float = math.inf

    @property
    def fresh(self) -> bool:
        """Whether it matters how far behind a standby is."""
        return self.max_lag != math.inf or self.max_lag_bytes != math.inf


@dataclass(frozen=True, slots=True)
class Node:
    """A node to register: its name, its URL, and what is special about it.

    `weight` scales its share (2.0 = twice the share of 1.0). `connect_options` go to the driver's connect,
    over those of the cluster. The repr never shows a password.
    """

    name: str
    dsn: str
    weight: float = 1.0
    connect_options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"a node's name is a non-empty string, not {self.name!r}")
        if not 0 < self.weight < float("inf"):
            raise ConfigError(f"node {self.name!r}: weight is a number above 0, not {self.weight!r}")
        object.__setattr__(self, "connect_options", MappingProxyType(dict(self.connect_options)))

    def __repr__(self) -> str:
        options = f", connect_options=<{', '.join(sorted(self.connect_options))}>" if self.connect_options else ""
        weight = f", weight={self.weight}" if self.weight != 1.0 else ""
        return f"Node({self.name!r}, {redact(self.dsn)!r}{weight}{options})"
