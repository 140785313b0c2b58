"""The rules of `judge` that look at all nodes together: one cluster, one primary, one version, and rows that arrive. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

from ...node import Role
from .facts import ClusterFacts, NodeFacts
from .findings import Code, Finding

__all__ = ["CLUSTER_RULES"]


def _let_in(facts: ClusterFacts) -> list[NodeFacts]:
    return [node for node in facts.nodes if node.failure is None and node.server is not None]


def _writers(facts: ClusterFacts) -> Iterator[Finding]:
    """A node that let nobody in may be the one that writes: its own finding says enough."""
    met = [node for node in facts.nodes if node.observation is not None]
    if met and not any(
        node.observation.role in (Role.PRIMARY, Role.PEER) and node.observation.ready for node in met if node.observation
    ):
        roles = ", ".join(f"{node.name} is {node.observation.role}" for node in met if node.observation)
        yield Finding(
            Code.NO_WRITER, None, f"no node takes writes: {roles}", "promote a standby, or switch read_only off on the primary"
        )


def _primaries(facts: ClusterFacts) -> Iterator[Finding]:
    names = [
        node.name
        for node in facts.nodes
        if node.observation is not None and node.observation.role is Role.PRIMARY and not (node.server and node.server.follows)
    ]
    if len(names) > 1:
        text = f"{' and '.join(names)} all take themselves for the primary"
        advice = "let one of them be the primary, and rebuild the others as its standbys (MySQL replicas: with read_only=1)"
        yield Finding(Code.SEVERAL_PRIMARIES, None, text, advice)


def _replicas(facts: ClusterFacts) -> Iterator[Finding]:
    for node in _let_in(facts):
        if node.server is not None and node.server.follows and node.server.takes_writes:
            text = "it follows another server, and takes writes that no other node will see"
            yield Finding(Code.WRITABLE_REPLICA, node.name, text, "SET GLOBAL read_only=1 there, and in its option file")


def _one_cluster(facts: ClusterFacts) -> Iterator[Finding]:
    members = [
        node for node in _let_in(facts) if node.server and node.server.cluster_id and node.observation and node.observation.ready
    ]
    if not members:
        return
    first = members[0]
    for node in members[1:]:
        if first.server and node.server and node.server.cluster_id != first.server.cluster_id:
            text = f"it is a member of another cluster than {first.name}"
            advice = "let it join by wsrep_cluster_address; only the first node of a cluster is bootstrapped"
            yield Finding(Code.NOT_ONE_CLUSTER, node.name, text, advice)
    largest = max(members, key=lambda node: (node.server and node.server.cluster_size) or 0)
    size = (largest.server and largest.server.cluster_size) or 0
    if size > len(facts.nodes):
        text = f"{largest.name} sees a cluster of {size} nodes, and the configuration names {len(facts.nodes)}"
        yield Finding(Code.NOT_NAMED, None, text, "name every node, so that connects have more to choose from")


def _versions(facts: ClusterFacts) -> Iterator[Finding]:
    named = sorted((_major(node.server.version), node.name) for node in _let_in(facts) if node.server)
    groups = [(major, [name for _, name in group]) for major, group in groupby(named, key=lambda each: each[0])]
    if len(groups) > 1:
        text = "; ".join(f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} {major}" for major, names in groups)
        yield Finding(Code.VERSIONS, None, text, "upgrade all nodes to one version, one after another")


def _major(version: str) -> str:
    """ "10.11" of "10.11.6-MariaDB-1", "8.4" of "8.4.2", "16" of "16.2 (Debian)"."""
    numbers = version.split("-")[0].split()[0].split(".")
    return ".".join(numbers[:2] if len(numbers) > 2 else numbers[:1])


def _acceptance(facts: ClusterFacts) -> Iterator[Finding]:
    if facts.acceptance is not None:
        advice = "see that the user may create tables in the database, and that the database is named in the node's URL"
        yield Finding(Code.ACCEPTANCE, None, facts.acceptance, advice)
    if not facts.written:
        yield Finding(Code.NOT_WRITTEN, None, "nothing was written, as you said", "leave --no-write out to see rows arrive")


def _replication(facts: ClusterFacts) -> Iterator[Finding]:
    for node, group in groupby(sorted(facts.missing, key=lambda each: (each.node, each.row)), key=lambda each: each.node):
        rows = list(group)
        writers = " and ".join(each.writer for each in rows)
        text = f"what was written through {writers} is missing ({rows[0].why})"
        advice = "see that it replicates from them: SHOW STATUS LIKE 'wsrep%', SHOW REPLICA STATUS or pg_stat_wal_receiver"
        yield Finding(Code.NOT_REPLICATED, node, text, advice)
    for node, why in facts.unseen.items():
        yield Finding(Code.NOT_ASKED, node, f"whether rows arrive there was not seen: {why}", "run the check again")


def _left(facts: ClusterFacts) -> Iterator[Finding]:
    for node, (what, why) in facts.left.items():
        yield Finding(Code.LEFT_BEHIND, node, f"{what} may be left there: {why}", f"DROP TABLE IF EXISTS {what}")


CLUSTER_RULES: tuple[Callable[[ClusterFacts], Iterator[Finding]], ...] = (
    _writers,
    _primaries,
    _replicas,
    _one_cluster,
    _versions,
    _acceptance,
    _replication,
    _left,
)
