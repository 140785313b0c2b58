"""What a cluster knows at one moment, as frozen values. Times are seconds, moments are UTC."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from .node import Health, Role

__all__ = ["ClusterStats", "Histogram", "NodeStats"]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long. Bucket i has what took more than `bounds[i - 1]`, up to `bounds[i]` seconds.

    There is one bucket more than bounds, for what took longer. Numbers of a bucket only ever grow.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sums: tuple[float, ...]
    """The seconds of each bucket's samples, added up."""

    @property
    def count(self) -> int:
        """All samples."""
        return sum(self.counts)

    @property
    def sum(self) -> float:
        """The seconds of all samples, added up."""
        return math.fsum(self.sums)


@dataclass(frozen=True, slots=True)
class NodeStats:
    """One node. Counters count from its registration."""

    name: str
    address: str
    weight: float
    health: Health
    role: Role
    """What it was when last heard of."""
    writer: bool | None
    """With `writers=N`: whether it is one of those that take the writes."""
    cause: str | None
    """Why it is not up, or is not taken for the primary that it claims to be, or is degraded, or avoided."""
    avoided: bool
    """It is up, and refused its latest login within the last 10 s: it is full, or the password is wrong."""
    degraded: bool
    """It serves, but is better left alone: a donor of a state transfer, or desynced."""
    draining: bool
    connections: int
    """Connections handed out."""
    errors: int
    """Logins that failed or got no answer, sessions that were lost in use, and what the monitor found."""
    last_success: datetime | None
    last_error: datetime | None
    last_error_message: str | None
    wins: int
    """Races won."""
    losses: int
    """Logins that lost their race to another node, or whose caller had left."""
    hedges: int
    """Logins started because another node was slow."""
    logins: int
    """Logins started, whatever for."""
    cut: int
    """Logins ended by us: past their grace, or because the node was found down."""
    connecting: int
    """Logins under way, `stragglers` included."""
    stragglers: int
    """Logins under way that nobody waits for."""
    open: int
    """Connections handed out by `connect` and, as far as the client side knows, still open."""
    idle: int
    """Pooled connections that wait for a user."""
    leased: int
    """Pooled connections that users have."""
    returning: int
    """Pooled connections that are being reset or looked at."""
    latency: float | None
    """The estimate that orders the nodes: a login's duration."""
    p50: float | None
    """The median of the recent logins; None below 20 of them."""
    p95: float | None
    round_trip: float | None
    """The estimate that orders the nodes for leases: one question's duration."""
    timeline: int | None
    """PostgreSQL's history."""
    lag: float | None
    """Seconds that it is behind; None where that is not known."""
    lag_bytes: int | None
    observed: datetime | None
    """When the monitor last had an answer."""
    since: datetime
    """Since when it is what it is: its health, its role, whether it is degraded, avoided, or taken for a primary."""
    waiting: int
    """Callers that wait for a pooled connection and would take one of this node."""
    interrupted: int
    """Connections that were closed under their users: it was silent, or its draining took too long."""
    login_times: Histogram
    """How long the logins took that it let in."""
    lease_times: Histogram
    """For how long its pooled connections were held."""


@dataclass(frozen=True, slots=True)
class ClusterStats:
    """A snapshot of a cluster; `nodes` maps names to `NodeStats`, sorted."""

    name: str
    driver: str | None
    target: str
    open: bool
    first_instantiated: datetime
    hedge_tokens: float
    waiting: int
    """Callers that wait for a pooled connection."""
    lease_time: float | None
    """For how many seconds a lease is held, on average; None before the first came back."""
    nodes: Mapping[str, NodeStats]
    min_size: int
    """Pooled connections per node that are kept open; at most `max_size`, and `max_total` over all nodes (None: no bound)."""
    max_size: int
    max_total: int | None
    wait_times: Histogram
    """How long callers waited for the pooled connection that they got."""
    timeouts: int
    """Callers that waited for a pooled connection in vain."""
    turned_away: int
    """Callers that were not let wait, as `max_waiting` did already, or as every node fails for good."""
    runs: int
    """Calls of `run`."""
    retries: int
    """Units of work that were run again."""
    unknown: int
    """Transactions of which nobody can say whether they were committed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(sorted(self.nodes.items()))))

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON: moments as ISO 8601 text."""
        plain = _fields(self)
        plain["nodes"] = {name: _fields(node) for name, node in self.nodes.items()}
        return {key: _plain(value) for key, value in plain.items()}


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, Histogram):
        return {"count": value.count, "sum": value.sum, **_plain(_fields(value))}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, str) else value
