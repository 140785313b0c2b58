"""Whether clusters are ready, and if not, why: which node is what, since when. Asks nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...cluster import Cluster
from ...node import Health
from ...stats import ClusterStats, NodeStats
from .words import age

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
        now = datetime.now(UTC)
        doing = "; ".join(f"{name}: {_state(node, now)}" for name, node in stats.nodes.items()) or "it has no node"
        return f"{ready} of {self.nodes} nodes ready for {self.target or stats.target}: {doing}"


def snapshot(clusters: Sequence[Cluster[Any]], readiness: Readiness) -> list[dict[str, Any]]:
    """What /stats.json answers."""
    answer = []
    for cluster in clusters:
        stats = cluster.stats()
        reason = readiness.reason(cluster, stats)
        answer.append({**stats.as_dict(), "ready": reason is None, "reason": reason})
    return answer


def _state(node: NodeStats, now: datetime) -> str:
    words = ["draining" if node.draining else str(node.health), str(node.role)]
    if node.health is not Health.UP and node.observed is not None:
        words.append(f"last answer {age(node.observed, now)}")
    return ", ".join(words) + (f" ({node.cause})" if node.cause else "")
