"""What `check` can find: each code with its severity and its meaning. Values only; when each is found is in `judge`.

Rule: a code has one severity, whichever node it is found on, so that a script can rely on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["MEANINGS", "Code", "Finding", "Severity"]


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """It will not work like this: `check` ends with 1."""
    WARNING = "warning"
    """It works until something happens."""
    NOTE = "note"
    """Good to know."""


class Code(StrEnum):
    """What was found, for scripts."""

    LOGIN_REFUSED = "login-refused"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    NO_CONNECTION_LEFT = "no-connection-left"
    HOST_BLOCKED = "host-blocked"
    LOGIN_FAILED = "login-failed"
    NOT_READY = "not-ready"
    NO_WRITER = "no-writer"
    SEVERAL_PRIMARIES = "several-primaries"
    WRITABLE_REPLICA = "writable-replica"
    NOT_ONE_CLUSTER = "not-one-cluster"
    MAX_CONNECTIONS = "max-connections"
    NOT_REPLICATED = "not-replicated"
    ACCEPTANCE = "acceptance"
    LEFT_BEHIND = "left-behind"
    DEGRADED = "degraded"
    LAG = "lag"
    LAG_UNKNOWN = "lag-unknown"
    CLOCK = "clock"
    PLAIN_TEXT = "plain-text"
    HOST_BLOCKING = "host-blocking"
    IDLE_TIMEOUT = "idle-timeout"
    EVS_DEFAULTS = "evs-defaults"
    VERSIONS = "versions"
    TLS_UNVERIFIED = "tls-unverified"
    NOT_NAMED = "not-named"
    NOT_ASKED = "not-asked"
    NOT_WRITTEN = "not-written"


_E, _W, _N = Severity
MEANINGS: Mapping[Code, tuple[Severity, str]] = {
    Code.LOGIN_REFUSED: (_E, "The node refuses the user, the password, the database or TLS."),
    Code.SILENT: (_E, "The node gave no answer within the connect time-out."),
    Code.UNREACHABLE: (_E, "Nobody serves at the node's address, or it is starting or stopping."),
    Code.NO_CONNECTION_LEFT: (_E, "The node has no connection left."),
    Code.HOST_BLOCKED: (_E, "The node has blocked this host for too many interrupted logins (error 1129)."),
    Code.LOGIN_FAILED: (_E, "The login failed for another reason."),
    Code.NOT_READY: (_E, "The node lets in and serves nothing: outside of the primary component, say."),
    Code.NO_WRITER: (_E, "No node takes writes."),
    Code.SEVERAL_PRIMARIES: (_E, "More than one node takes itself for the primary."),
    Code.WRITABLE_REPLICA: (_E, "A replica takes writes that no other node will see."),
    Code.NOT_ONE_CLUSTER: (_E, "The nodes are members of different clusters."),
    Code.MAX_CONNECTIONS: (_E, "`max_connections` is too small for the processes that will use the node."),
    Code.NOT_REPLICATED: (_E, "A row that was written through one node was not seen on another."),
    Code.ACCEPTANCE: (_E, "A statement of the acceptance list failed, or did something else than it should."),
    Code.LEFT_BEHIND: (_E, "A table that the check made could not be dropped."),
    Code.DEGRADED: (_W, "The node serves, and is better left alone: a donor of a state transfer, or desynced."),
    Code.LAG: (_W, "The node is too far behind."),
    Code.LAG_UNKNOWN: (_W, "Nobody can say how far the node is behind."),
    Code.CLOCK: (_W, "The node's clock differs from this machine's."),
    Code.PLAIN_TEXT: (_W, "The connection is not encrypted, and goes to another machine."),
    Code.HOST_BLOCKING: (_W, "The server can block a client's host: `max_connect_errors`, with name resolution on."),
    Code.IDLE_TIMEOUT: (_W, "The server closes idle connections before the pool does."),
    Code.EVS_DEFAULTS: (_W, "Galera's time-outs are the default ones: a dead node stalls the writes of all others."),
    Code.VERSIONS: (_W, "The nodes run different major versions of the server."),
    Code.TLS_UNVERIFIED: (_N, "The connection is encrypted, and nobody checks with whom."),
    Code.NOT_NAMED: (_N, "The database's own cluster has more members than the configuration names."),
    Code.NOT_ASKED: (_N, "Something could not be found out."),
    Code.NOT_WRITTEN: (_N, "Nothing was written, so that replication was not seen."),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: on a node, or (None) about the cluster; what it is, and what to do."""

    code: Code
    node: str | None
    text: str
    advice: str

    @property
    def severity(self) -> Severity:
        """That of its code."""
        return MEANINGS[self.code][0]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"severity": str(self.severity), **{key: value and str(value) for key, value in asdict(self).items()}}
