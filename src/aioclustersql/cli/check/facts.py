"""What `check` has found out, as frozen values: what a node and its server say, and what the cluster did. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ...drivers.base import Observation
from ...failure import FailureKind

__all__ = ["ClusterFacts", "Failure", "Missing", "Needs", "NodeFacts", "ServerFacts"]


@dataclass(frozen=True, slots=True)
class Needs:
    """What the application will ask of the servers. Times are seconds."""

    processes: int = 1
    max_size: int = 10
    """Pooled connections of one process on one node, at most."""
    monitored: bool = True
    max_idle_time: float = 600.0
    max_lag: float | None = None
    connect_timeout: float = 10.0

    @property
    def connections(self) -> int:
        """On one node: each process's pool, its monitor's connection, and two logins under way (a pool starts no more)."""
        return self.processes * (self.max_size + self.monitored + 2)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed; the text shows no secret."""

    kind: FailureKind
    text: str


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself and of its settings; None and empty: it does not say, or has no such thing."""

    version: str
    """As the server prints it: "10.11.6-MariaDB", "16.2"."""
    tls: str | None = None
    """The protocol of the connection that asked; None: plain text."""
    clock_offset: float = 0.0
    """Seconds that the server's clock is ahead of ours."""
    clock_doubt: float = 0.0
    """How far off that may be: half of the question's round trip."""
    takes_writes: bool = True
    follows: bool | None = None
    """Whether it replicates from another; None: we may not know."""
    max_connections: int | None = None
    """Connections for ordinary users."""
    max_connect_errors: int | None = None
    """After so many interrupted logins a host is blocked; None: none ever is."""
    idle_timeout: tuple[str, float] | None = None
    """The setting by which the server closes idle sessions, and its seconds."""
    evs: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Galera's time-outs in seconds."""
    cluster_id: str | None = None
    cluster_size: int | None = None


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node, as it was met."""

    name: str
    address: str
    login: float | None = None
    """Seconds that the login took; None: there was none."""
    local: bool = False
    """It is on this machine, as far as its address tells: loopback, or a unix socket."""
    verified: bool = False
    """Whether a certificate is checked, where the connection is encrypted."""
    failure: Failure | None = None
    """Why the login failed."""
    observation: Observation | None = None
    server: ServerFacts | None = None
    gap: str | None = None
    """Why there is no observation, or why the server was not asked for its settings."""

    @property
    def writable(self) -> bool:
        """Whether the check may write there: it takes writes, and they would not stay its own."""
        ready = self.observation is not None and self.observation.ready
        return ready and self.server is not None and self.server.takes_writes and not self.server.follows


@dataclass(frozen=True, slots=True)
class Missing:
    """A row that did not arrive: on `node`, written through `writer`."""

    node: str
    writer: str
    row: int
    why: str

    def __str__(self) -> str:
        return f"node {self.node}: the row {self.row} that was written through {self.writer} is missing ({self.why})"


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """All nodes in the order of the configuration, and what became of what was tried."""

    nodes: tuple[NodeFacts, ...]
    written: bool = True
    """Whether it was allowed to write at all."""
    acceptance: str | None = None
    """What went wrong with the acceptance list."""
    missing: tuple[Missing, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The nodes that took no part in the look at replication though they let us in, and why."""
    left: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    """The nodes where tables may be left: which, and why."""
