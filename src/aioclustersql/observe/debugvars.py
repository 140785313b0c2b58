"""What the original publishes by Go's expvar at /debug/vars, so that its dashboards go on working; and ours beside.

Names and shape are those of benthor/clustersql, its spelling included; moments are written as Go's `time.Time.String` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ..cluster import Cluster
from ..stats import ClusterStats, NodeStats
from .named import by_name

__all__ = ["debug_vars"]


def debug_vars(clusters: Iterable[Cluster[Any]]) -> dict[str, Any]:
    """The clusters' state as plain values for JSON.

    "ClusterSql" is the original's map, of the first cluster: "FirstInstanciated", and under each node's name "Connections",
    "Errors", "LastSuccess", "LastError", "LastErrorMessage"; what has not happened yet is left out. With several clusters each
    has such a map under "ClusterSql:" and its name, too. "aioclustersql" maps the clusters' names to `ClusterStats.as_dict()`.

    Raises `ConfigError` when two clusters have the same name.
    """
    stats = {name: cluster.stats() for name, cluster in by_name(clusters).items()}
    published: dict[str, Any] = {}
    for name, each in stats.items():
        published.setdefault("ClusterSql", _cluster(each))
        if len(stats) > 1:
            published[f"ClusterSql:{name}"] = _cluster(each)
    published["aioclustersql"] = {name: each.as_dict() for name, each in stats.items()}
    return published


def _cluster(stats: ClusterStats) -> dict[str, Any]:
    nodes = {name: _node(node) for name, node in stats.nodes.items()}
    return {"FirstInstanciated": _moment(stats.first_instantiated), **nodes}


def _node(node: NodeStats) -> dict[str, Any]:
    shown: dict[str, Any] = {"Connections": node.connections, "Errors": node.errors}
    if node.last_success is not None:
        shown["LastSuccess"] = _moment(node.last_success)
    if node.last_error is not None:
        shown["LastError"] = _moment(node.last_error)
        shown["LastErrorMessage"] = node.last_error_message
    return shown


def _moment(moment: datetime) -> str:
    """As Go writes it: 2014-01-31 12:00:00.25 +0000 UTC, without a fraction's trailing zeros."""
    utc = moment.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{utc:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"
