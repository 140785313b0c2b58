"""Prometheus: a collector that reads `Cluster.stats()` when it is asked. Needs the extra `prometheus`.

Labels are the names of clusters and nodes and words out of fixed sets. Rule: no text of a server is ever a label.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from ..cluster import Cluster

__all__ = ["ClusterCollector", "render"]


class ClusterCollector(Collector):
    """To be registered: `prometheus_client.REGISTRY.register(ClusterCollector(cluster))`."""

    def __init__(self, *clusters: Cluster[Any]) -> None:
        self._clusters = clusters

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        yield from ()


def render(*clusters: Cluster[Any]) -> tuple[bytes, str]:
    """The body of an answer to a scrape, and its content type."""
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    registry = CollectorRegistry()
    registry.register(ClusterCollector(*clusters))
    return generate_latest(registry), CONTENT_TYPE_LATEST
