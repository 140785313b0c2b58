"""Every metric, once: its name, what it says, and where it stands in `stats()`. Prometheus, OpenTelemetry and the docs read this.

Rule: a label is the name of a cluster or a node, or a word of a fixed set; nothing that a server says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Generic, TypeVar

from ..node import Health, Role
from ..stats import ClusterStats, Histogram, NodeStats

__all__ = ["CLUSTER", "NODE", "Kind", "Metric", "States", "Value"]

S = TypeVar("S", ClusterStats, NodeStats)


class Kind(Enum):
    """What can be done with it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class States(dict[str, float]):
    """A value for each word of a fixed set, which is the label."""


Value = float | Histogram | States | None
"""`None`: not known, and left out."""


@dataclass(frozen=True, slots=True)
class Metric(Generic[S]):
    """One metric. `name` is without prefix and unit; `unit` in UCUM's words, "" for a number of things."""

    name: str
    help: str
    read: Callable[[S], Value]
    kind: Kind = Kind.GAUGE
    unit: str = ""
    label: str | None = None
    """The label of `States`."""
    standard: bool = False
    """OpenTelemetry has a name of its own for it."""

    @property
    def prometheus(self) -> str:
        """Its name there; a counter's is without `_total`, which Prometheus adds itself."""
        suffix = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        return f"aioclustersql_{self.name.replace('.', '_')}{suffix}"

    @property
    def otel(self) -> str:
        """Its name there, where it is not a standard one."""
        return f"aioclustersql.{self.name}"


def _moment(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


CLUSTER: tuple[Metric[ClusterStats], ...] = (
    Metric("open", "Whether the cluster is open: 1, or 0.", lambda stats: stats.open),
    Metric("created.timestamp", "When it was made, in Unix time.", lambda stats: _moment(stats.first_instantiated), unit="s"),
    Metric("pool.waiting", "Callers that wait for a pooled connection.", lambda stats: stats.waiting, standard=True),
    Metric("pool.min_size", "Pooled connections that are kept open, per node.", lambda stats: stats.min_size, standard=True),
    Metric("pool.max_size", "Pooled connections at most, per node.", lambda stats: stats.max_size, standard=True),
    Metric("pool.max_total", "Pooled connections at most, over all nodes; absent: no bound.", lambda stats: stats.max_total),
    Metric(
        "pool.wait",
        "How long callers waited for the pooled connection that they got.",
        lambda stats: stats.wait_times,
        Kind.HISTOGRAM,
        "s",
        standard=True,
    ),
    Metric(
        "pool.timeouts",
        "Callers that waited for a pooled connection in vain.",
        lambda stats: stats.timeouts,
        Kind.COUNTER,
        standard=True,
    ),
    Metric(
        "pool.turned_away",
        "Callers that were not let wait: max_waiting did, or every node fails for good.",
        lambda stats: stats.turned_away,
        Kind.COUNTER,
    ),
    Metric("runs", "Calls of run().", lambda stats: stats.runs, Kind.COUNTER),
    Metric("run.retries", "Units of work that were run again.", lambda stats: stats.retries, Kind.COUNTER),
    Metric(
        "outcomes.unknown",
        "Transactions of which nobody can say whether they were committed.",
        lambda stats: stats.unknown,
        Kind.COUNTER,
    ),
    Metric("hedge.tokens", "What is left in the budget for hedges.", lambda stats: stats.hedge_tokens),
)

NODE: tuple[Metric[NodeStats], ...] = (
    Metric("node.up", "Whether it is up: 1, or 0.", lambda node: node.health is Health.UP),
    Metric(
        "node.health",
        "1 for what its health is, 0 for what it is not.",
        lambda node: States({health: float(node.health is health) for health in Health}),
        label="health",
    ),
    Metric("node.since.timestamp", "Since when its health is what it is, in Unix time.", lambda n: _moment(n.since), unit="s"),
    Metric(
        "node.role",
        "1 for what its role is, 0 for what it is not.",
        lambda node: States({role: float(node.role is role) for role in Role}),
        label="role",
    ),
    Metric(
        "node.writer",
        "With writers=N, whether it takes the writes.",
        lambda node: None if node.writer is None else node.writer,
    ),
    Metric("node.degraded", "Whether it is better left alone, though it serves: a donor, or desynced.", lambda n: n.degraded),
    Metric("node.avoided", "Whether it is up and refuses logins: it is full, or the password is wrong.", lambda n: n.avoided),
    Metric(
        "node.since.timestamp",
        "Since when its health, role or trouble is as it is (Unix time).",
        lambda n: _moment(n.since),
        unit="s",
    ),
    Metric("node.draining", "Whether it is being drained.", lambda node: node.draining),
    Metric("node.lag", "How far it is behind; absent where that is not known.", lambda node: node.lag, unit="s"),
    Metric("node.lag.log", "How far it is behind in the log; absent where that is not known.", lambda n: n.lag_bytes, unit="By"),
    Metric("node.timeline", "PostgreSQL's timeline.", lambda node: node.timeline),
    Metric(
        "node.observed.timestamp", "When the monitor last had an answer (Unix time).", lambda n: _moment(n.observed), unit="s"
    ),
    Metric(
        "node.last_success.timestamp", "When it last let us in, in Unix time.", lambda node: _moment(node.last_success), unit="s"
    ),
    Metric("node.last_error.timestamp", "When it last had an error, in Unix time.", lambda n: _moment(n.last_error), unit="s"),
    Metric("node.weight", "Its share, as configured.", lambda node: node.weight),
    Metric(
        "node.connections",
        "Connections: idle, leased and returning are the pool's, handed_out are those of connect().",
        lambda node: States(
            idle=node.idle, leased=node.leased, returning=node.returning, connecting=node.connecting, handed_out=node.open
        ),
        label="state",
        standard=True,
    ),
    Metric("node.leases", "Leases of its pooled connections that ended.", lambda n: n.lease_times.count, Kind.COUNTER),
    Metric("node.stragglers", "Logins under way that nobody waits for.", lambda node: node.stragglers),
    Metric("node.waiting", "Callers that wait and would be served there.", lambda node: node.waiting),
    Metric("node.handouts", "Connections handed out.", lambda node: node.connections, Kind.COUNTER),
    Metric(
        "node.errors",
        "Logins that failed or got no answer, sessions that were lost, and what the monitor found.",
        lambda node: node.errors,
        Kind.COUNTER,
    ),
    Metric("node.logins", "Logins started.", lambda node: node.logins, Kind.COUNTER),
    Metric("node.wins", "Races won.", lambda node: node.wins, Kind.COUNTER),
    Metric("node.losses", "Logins that lost their race.", lambda node: node.losses, Kind.COUNTER),
    Metric("node.hedges", "Logins started because another node was slow.", lambda node: node.hedges, Kind.COUNTER),
    Metric("node.cut", "Logins ended by us.", lambda node: node.cut, Kind.COUNTER),
    Metric("node.interrupted", "Connections closed under their users.", lambda node: node.interrupted, Kind.COUNTER),
    Metric("node.latency", "The estimate of a login's duration.", lambda node: node.latency, unit="s"),
    Metric("node.latency.p50", "The median of the recent logins.", lambda node: node.p50, unit="s"),
    Metric("node.latency.p95", "The 95th percentile of the recent logins.", lambda node: node.p95, unit="s"),
    Metric("node.round_trip", "The estimate of one question's duration.", lambda node: node.round_trip, unit="s"),
    Metric("node.login", "How long the logins took.", lambda node: node.login_times, Kind.HISTOGRAM, "s", standard=True),
    Metric(
        "node.lease",
        "For how long its pooled connections were held.",
        lambda node: node.lease_times,
        Kind.HISTOGRAM,
        "s",
        standard=True,
    ),
)
