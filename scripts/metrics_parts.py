"""The parts of docs/reference/metrics.md that are made from the table in `aioclustersql.observe.metrics`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aioclustersql.observe.metrics import CLUSTER, NODE, Kind, Metric
from aioclustersql.policy.histogram import BOUNDS

__all__ = ["buckets", "cluster_metrics", "node_metrics"]


def cluster_metrics() -> str:
    """The metrics of a cluster."""
    return _table(CLUSTER)


def node_metrics() -> str:
    """The metrics of a node."""
    return _table(NODE)


def buckets() -> str:
    """The bounds of the histograms."""
    return ", ".join(f"{bound:g}" for bound in BOUNDS) + " s"


def _table(metrics: Iterable[Metric[Any]]) -> str:
    rows = ["| Prometheus | OpenTelemetry | kind | what |", "| --- | --- | --- | --- |"]
    for metric in metrics:
        name = metric.prometheus + ("_total" if metric.kind is Kind.COUNTER else "")
        label = f" (label `{metric.label}`)" if metric.label else ""
        other = "see below" if metric.standard else f"`{metric.otel}`"
        rows.append(f"| `{name}` | {other} | {metric.kind.value} | {metric.help}{label} |")
    return "\n".join(rows)
