"""Whether clusters are ready, and if not, why: which node is what, since when. Asks nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...cluster import Cluster
from ...stats import ClusterStats, NodeStats
from .words import clock, heard_of, trouble

__all__ = ["Readiness", "snapshot"]


@dataclass(frozen=True, slots=True)
class Readiness:
    """What makes a cluster ready: so many nodes that serve a target (None: the cluster's own)."""

    nodes: int = 1
    target: str | None = None

    def reason(self, cluster: Cluster[Any], stats: ClusterStats) -> str | None:
        """Why the cluster is not ready; None: it is."""
        if cluster.is_ready(nodes=self.nodes, target=self.target):
            return None
        ready = sum(1 for count in range(1, self.nodes) if cluster.is_ready(nodes=count, target=self.target))
        doing = "; ".join(f"{name}: {_state(node)}" for name, node in stats.nodes.items()) or "it has no node"
        return f"{ready} of {self.nodes} nodes ready for {self.target or stats.target}: {doing}"


def snapshot(clusters: Sequence[Cluster[Any]], readiness: Readiness) -> list[dict[str, Any]]:
    """What /stats.json answers."""
    answer = []
    for cluster in clusters:
        stats = cluster.stats()
        reason = readiness.reason(cluster, stats)
        states = {name: _state(node) for name, node in stats.nodes.items()}
        answer.append({**stats.as_dict(), "ready": reason is None, "reason": reason, "states": states})
    return answer


def _state(node: NodeStats) -> str:
    """What it is, since when, and why."""
    health = "draining" if node.draining else str(node.health)
    if ails := trouble(node):
        health += f", {ails}"
    if heard_of(node):
        health += f" since {clock(node.since)} UTC"
    return f"{health}, {node.role}" + (f" ({node.cause})" if node.cause else "")
