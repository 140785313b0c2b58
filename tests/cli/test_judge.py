"""What `check` makes of what it has found out: facts in, findings out, as a table. No server, no loop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aioclustersql.cli.check.facts import ClusterFacts, Failure, Missing, Needs, NodeFacts, ServerFacts
from aioclustersql.cli.check.findings import MEANINGS, Code, Severity
from aioclustersql.cli.check.judge import CLOCK, EVS_SUSPECT, LAG, SAFE_CONNECT_ERRORS, judge
from aioclustersql.drivers.base import Observation
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role

SERVER = ServerFacts("10.11.6-MariaDB", "TLSv1.3", follows=False, max_connections=151, idle_timeout=("wait_timeout", 28800.0))
PEER = Observation(Role.PEER, lag=0.0)
PRIMARY = Observation(Role.PRIMARY, lag=0.0)
STANDBY = Observation(Role.STANDBY, lag=0.0)
REPLICA = replace(SERVER, follows=True, takes_writes=False)
NEEDS = Needs()


def node(
    name: str = "n1", observation: Observation | None = PEER, server: ServerFacts | None = SERVER, **facts: object
) -> NodeFacts:
    base = NodeFacts(name, f"10.0.0.1:{name}", login=0.001, verified=True, observation=observation, server=server)
    return replace(base, **facts)  # type: ignore[arg-type]


def failed(kind: FailureKind, name: str = "n1") -> NodeFacts:
    return NodeFacts(name, "10.0.0.1:1", failure=Failure(kind, "it was so"))


def found(*nodes: NodeFacts, needs: Needs = NEEDS, **facts: object) -> list[tuple[Code, str | None]]:
    return [(each.code, each.node) for each in judge(ClusterFacts(nodes, **facts), needs)]  # type: ignore[arg-type]


def with_server(**changes: object) -> NodeFacts:
    return node(server=replace(SERVER, **changes))  # type: ignore[arg-type]


def test_nothing_is_found_on_a_good_cluster() -> None:
    assert found(node("n1"), node("n2"), node("n3")) == []
    assert found(node("n1", PRIMARY), node("n2", STANDBY, REPLICA)) == []


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FailureKind.CONFIGURATION, Code.LOGIN_REFUSED),
        (FailureKind.TIMEOUT, Code.SILENT),
        (FailureKind.UNREACHABLE, Code.UNREACHABLE),
        (FailureKind.OVERLOADED, Code.NO_CONNECTION_LEFT),
        (FailureKind.HOST_BLOCKED, Code.HOST_BLOCKED),
        (FailureKind.NOT_READY, Code.NOT_READY),
        (FailureKind.SESSION_LOST, Code.LOGIN_FAILED),
        (FailureKind.OTHER, Code.LOGIN_FAILED),
    ],
)
def test_a_failed_login_is_an_error_on_its_node(kind: FailureKind, code: Code) -> None:
    assert found(failed(kind, "n2"), node("n1")) == [(code, "n2")]
    assert MEANINGS[code][0] is Severity.ERROR


@pytest.mark.parametrize(
    ("bad", "good", "code"),
    [
        (node(observation=Observation(Role.PEER, ready=False)), node(), Code.NOT_READY),
        (node(observation=replace(PEER, degraded=True)), node(), Code.DEGRADED),
        (with_server(clock_offset=CLOCK + 0.1), with_server(clock_offset=CLOCK), Code.CLOCK),
        (with_server(clock_offset=-CLOCK - 0.1), with_server(clock_offset=CLOCK + 0.1, clock_doubt=0.2), Code.CLOCK),
        (with_server(tls=None), replace(with_server(tls=None), local=True), Code.PLAIN_TEXT),
        (node(verified=False), node(verified=False, local=True), Code.TLS_UNVERIFIED),
        (with_server(max_connections=12), with_server(max_connections=13), Code.MAX_CONNECTIONS),
        (with_server(max_connect_errors=100), with_server(max_connect_errors=SAFE_CONNECT_ERRORS), Code.HOST_BLOCKING),
        (with_server(idle_timeout=("wait_timeout", 600.0)), with_server(idle_timeout=("wait_timeout", 601.0)), Code.IDLE_TIMEOUT),
        (
            with_server(evs={"suspect_timeout": EVS_SUSPECT}),
            with_server(evs={"suspect_timeout": EVS_SUSPECT - 0.1}),
            Code.EVS_DEFAULTS,
        ),
        (node(gap="it did not say"), node(), Code.NOT_ASKED),
    ],
)
def test_a_node_is_judged_by_itself(bad: NodeFacts, good: NodeFacts, code: Code) -> None:
    others = (node("n2"), node("n3"))
    assert found(bad, *others) == [(code, "n1")]
    assert found(good, *others) == []


@pytest.mark.parametrize(
    ("lag", "bound", "expected"),
    [
        (LAG, None, []),
        (LAG + 0.1, None, [(Code.LAG, "n2")]),
        (2.0, 1.0, [(Code.LAG, "n2")]),
        (2.0, 3.0, []),
        (None, None, [(Code.LAG_UNKNOWN, "n2")]),
    ],
)
def test_a_standby_is_too_far_behind_by_the_clusters_own_bound(lag: float | None, bound: float | None, expected: object) -> None:
    standby = node("n2", Observation(Role.STANDBY, lag=lag), REPLICA)
    assert found(node("n1", PRIMARY), standby, needs=Needs(max_lag=bound)) == expected


@pytest.mark.parametrize(
    ("needs", "connections"),
    [
        (Needs(), 13),
        (Needs(monitored=False), 12),
        (Needs(processes=8), 104),
        (Needs(processes=2, max_size=50), 106),
    ],
)
def test_each_process_needs_its_pool_its_monitor_and_two_logins(needs: Needs, connections: int) -> None:
    assert found(with_server(max_connections=connections), needs=needs) == []
    assert found(with_server(max_connections=connections - 1), needs=needs) == [(Code.MAX_CONNECTIONS, "n1")]


def test_no_node_takes_writes() -> None:
    assert found(node("n1", STANDBY, REPLICA)) == [(Code.NO_WRITER, None)]
    assert found(node("n1", Observation(Role.READ_ONLY)), failed(FailureKind.OTHER, "n2"))[-1] == (Code.NO_WRITER, None)
    assert (Code.NO_WRITER, None) not in found(failed(FailureKind.OTHER))


def test_two_primaries_are_no_cluster() -> None:
    assert found(node("n1", PRIMARY), node("n2", PRIMARY)) == [(Code.SEVERAL_PRIMARIES, None)]


def test_a_replica_that_takes_writes_is_named() -> None:
    assert found(node("n1", PRIMARY), node("n2", PRIMARY, replace(SERVER, follows=True))) == [(Code.WRITABLE_REPLICA, "n2")]


def test_members_of_different_clusters_are_named() -> None:
    nodes = [node(f"n{number}", server=replace(SERVER, cluster_id=cluster)) for number, cluster in enumerate("aab", 1)]
    assert found(*nodes) == [(Code.NOT_ONE_CLUSTER, "n3")]


def test_members_that_the_configuration_does_not_name_are_noted() -> None:
    member = replace(SERVER, cluster_id="a", cluster_size=3)
    assert found(node("n1", server=member), node("n2", server=member)) == [(Code.NOT_NAMED, None)]


def test_different_major_versions_are_a_warning() -> None:
    versions = {"10.11.6-MariaDB": [], "10.11.19-MariaDB-log": [], "11.4.2-MariaDB": [(Code.VERSIONS, None)]}
    for version, expected in versions.items():
        assert found(node("n1"), node("n2", server=replace(SERVER, version=version))) == expected


def test_missing_rows_name_the_node_once_and_every_writer() -> None:
    missing = (Missing("n2", "n1", 1, "by a causal read"), Missing("n2", "n3", 3, "by a causal read"))
    (finding,) = judge(ClusterFacts((node("n1"), node("n2"), node("n3")), missing=missing), NEEDS)
    assert (finding.code, finding.node) == (Code.NOT_REPLICATED, "n2")
    assert "n1 and n3" in finding.text


def test_what_was_tried_and_failed_is_found() -> None:
    assert found(node(), acceptance="INSERT failed") == [(Code.ACCEPTANCE, None)]
    assert found(node(), written=False) == [(Code.NOT_WRITTEN, None)]
    assert found(node(), left={"n1": ("t1", "no answer")}) == [(Code.LEFT_BEHIND, "n1")]
    assert found(node(), unseen={"n1": "too late"}) == [(Code.NOT_ASKED, "n1")]


def test_the_worst_comes_first_then_the_order_of_the_nodes() -> None:
    nodes = (node("n2", gap="?"), with_server(tls=None), failed(FailureKind.TIMEOUT, "n0"))
    assert [each for _, each in found(*nodes)] == ["n0", "n1", "n2"]


def test_every_finding_says_what_to_do() -> None:
    nodes = (failed(FailureKind.TIMEOUT, "n0"), with_server(tls=None, max_connections=1, max_connect_errors=1))
    findings = judge(ClusterFacts(nodes, acceptance="it failed"), NEEDS)
    assert len(findings) == 5
    assert all(finding.advice and finding.text for finding in findings)


def test_every_code_has_a_meaning() -> None:
    assert list(MEANINGS) == list(Code)
