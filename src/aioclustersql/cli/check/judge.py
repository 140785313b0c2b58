"""Facts in, findings out: what is wrong with a cluster, how bad it is, and what to do about it.

Pure: no I/O, no clock. The rules that look at one node are here, those that look at all of them in `cluster_rules`; codes
and their severities are in `findings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...failure import FailureKind
from ...node import Role
from .cluster_rules import CLUSTER_RULES
from .facts import ClusterFacts, Needs, NodeFacts
from .findings import Code, Finding, Severity

__all__ = ["CLOCK", "EVS_SUSPECT", "LAG", "SAFE_CONNECT_ERRORS", "judge"]

CLOCK = 1.0
"""Seconds that a clock may be off: below that lag figures and logs still make sense."""
LAG = 10.0
"""Seconds behind that are worth a warning where the configuration sets no `max_lag`."""
EVS_SUSPECT = 5.0
"""Galera's default evs.suspect_timeout (https://galeracluster.com/library/documentation/galera-parameters.html)."""
SAFE_CONNECT_ERRORS = 100_000
"""A host that is blocked after so many interrupted logins without a success between has other troubles."""


def judge(facts: ClusterFacts, needs: Needs) -> tuple[Finding, ...]:
    """Every finding, the worst first, then in the order of the nodes."""
    found = [finding for node in facts.nodes for rule in _OF_A_NODE for finding in rule(node)]
    found += [finding for node in facts.nodes for rule in _OF_ITS_USE for finding in rule(node, needs)]
    found += [finding for whole in CLUSTER_RULES for finding in whole(facts)]
    order = {node.name: place for place, node in enumerate(facts.nodes)}
    severities = list(Severity)
    return tuple(
        sorted(found, key=lambda each: (severities.index(each.severity), order.get(each.node, -1) if each.node else len(order)))
    )


_FAILURES: Mapping[FailureKind, tuple[Code, str]] = {
    FailureKind.CONFIGURATION: (
        Code.LOGIN_REFUSED,
        "compare user, password, database and TLS options of the node with the server's accounts",
    ),
    FailureKind.TIMEOUT: (
        Code.SILENT,
        "see whether the server is frozen or overloaded, and whether a firewall drops packets to its address",
    ),
    FailureKind.UNREACHABLE: (Code.UNREACHABLE, "start the server, or correct the node's host and port"),
    FailureKind.OVERLOADED: (
        Code.NO_CONNECTION_LEFT,
        "raise max_connections on the server, or find out who holds the connections",
    ),
    FailureKind.HOST_BLOCKED: (
        Code.HOST_BLOCKED,
        "run FLUSH HOSTS there (MySQL 8.4: TRUNCATE TABLE performance_schema.host_cache), and raise max_connect_errors",
    ),
    FailureKind.NOT_READY: (
        Code.NOT_READY,
        "bring the node back into its cluster's primary component: look at wsrep_cluster_status and its error log",
    ),
}


def _login(node: NodeFacts) -> Iterator[Finding]:
    if node.failure is not None:
        code, advice = _FAILURES.get(node.failure.kind, (Code.LOGIN_FAILED, "look into the server's error log"))
        yield Finding(code, node.name, f"{node.address}: {node.failure.text}", advice)


def _readiness(node: NodeFacts) -> Iterator[Finding]:
    seen = node.observation
    if seen is None:
        return
    if not seen.ready:
        advice = _FAILURES[FailureKind.NOT_READY][1]
        yield Finding(Code.NOT_READY, node.name, seen.cause or "it serves no queries", advice)
    elif seen.degraded:
        advice = "wait for the state transfer's end, or SET GLOBAL wsrep_desync=OFF"
        yield Finding(Code.DEGRADED, node.name, seen.cause or "it is degraded", advice)


def _lag(node: NodeFacts, needs: Needs) -> Iterator[Finding]:
    seen = node.observation
    if seen is None or seen.role is not Role.STANDBY:
        return
    if seen.lag is None:
        advice = (
            "see that it follows a primary (PostgreSQL: pg_stat_wal_receiver), and that the user may ask for its lag "
            "(MySQL: REPLICATION CLIENT; MariaDB: SLAVE MONITOR)"
        )
        yield Finding(Code.LAG_UNKNOWN, node.name, "how far it is behind is not known", advice)
        return
    bound = LAG if needs.max_lag is None else needs.max_lag
    if seen.lag > bound:
        advice = "find out what holds replication up (long queries on the standby, its disk, the network)"
        yield Finding(Code.LAG, node.name, f"it is {seen.lag:.1f} s behind; more than {bound:g} s", advice)


def _clock(node: NodeFacts) -> Iterator[Finding]:
    server = node.server
    if server is not None and abs(server.clock_offset) - server.clock_doubt > CLOCK:
        way = "ahead of" if server.clock_offset > 0 else "behind"
        text = f"its clock is {abs(server.clock_offset):.1f} s {way} this machine's"
        yield Finding(Code.CLOCK, node.name, text, "let NTP set the clocks of all nodes, and this machine's")


def _encryption(node: NodeFacts) -> Iterator[Finding]:
    server = node.server
    if server is None or node.local:
        return
    if server.tls is None:
        advice = "set sslmode=verify-full and sslrootcert, and give the server a certificate"
        yield Finding(Code.PLAIN_TEXT, node.name, f"nothing that is sent to {node.address} is encrypted", advice)
    elif not node.verified:
        text = f"{server.tls} to {node.address}, whoever answers there"
        yield Finding(Code.TLS_UNVERIFIED, node.name, text, "set sslmode=verify-full and sslrootcert")


def _connections(node: NodeFacts, needs: Needs) -> Iterator[Finding]:
    server = node.server
    if server is None or server.max_connections is None or server.max_connections >= needs.connections:
        return
    each = f"{needs.max_size} pooled{', 1 of the monitor' if needs.monitored else ''}, 2 logins under way"
    text = (
        f"it allows {server.max_connections} connections, and {needs.processes} "
        f"{'process needs' if needs.processes == 1 else 'processes need'} {needs.connections} ({each}, each)"
    )
    advice = f"raise max_connections to {needs.connections} and what others need, or lower [pool] max_size"
    yield Finding(Code.MAX_CONNECTIONS, node.name, text, advice)


def _blocking(node: NodeFacts) -> Iterator[Finding]:
    errors = None if node.server is None else node.server.max_connect_errors
    if errors is not None and errors < SAFE_CONNECT_ERRORS:
        text = f"skip_name_resolve is OFF and max_connect_errors is {errors}: that many cut-off logins block a client's host"
        advice = f"set skip_name_resolve=ON, or max_connect_errors={SAFE_CONNECT_ERRORS}"
        yield Finding(Code.HOST_BLOCKING, node.name, text, advice)


def _idle(node: NodeFacts, needs: Needs) -> Iterator[Finding]:
    limit = None if node.server is None else node.server.idle_timeout
    if limit is not None and limit[1] <= needs.max_idle_time:
        name, seconds = limit
        text = f"{name} is {seconds:g} s, and the pool keeps idle connections for {needs.max_idle_time:g} s"
        advice = f"raise {name}, or set [pool] max_idle_time below {seconds:g}"
        yield Finding(Code.IDLE_TIMEOUT, node.name, text, advice)


def _evs(node: NodeFacts) -> Iterator[Finding]:
    suspect = None if node.server is None else node.server.evs.get("suspect_timeout")
    if suspect is not None and suspect >= EVS_SUSPECT:
        text = f"evs.suspect_timeout is {suspect:g} s: for longer than that a dead node stalls the writes of all others"
        advice = (
            "where the network is good lower evs.suspect_timeout, and with it evs.keepalive_period, evs.inactive_check_period, "
            "evs.inactive_timeout, evs.install_timeout and evs.join_retrans_period, in wsrep_provider_options of every node"
        )
        yield Finding(Code.EVS_DEFAULTS, node.name, text, advice)


def _gaps(node: NodeFacts) -> Iterator[Finding]:
    if node.gap is not None:
        yield Finding(Code.NOT_ASKED, node.name, node.gap, "check it by hand")


_OF_A_NODE: tuple[Callable[[NodeFacts], Iterator[Finding]], ...] = (
    _login,
    _readiness,
    _clock,
    _encryption,
    _blocking,
    _evs,
    _gaps,
)
_OF_ITS_USE: tuple[Callable[[NodeFacts, Needs], Iterator[Finding]], ...] = (_lag, _connections, _idle)
