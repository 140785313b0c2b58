"""Prometheus: a collector that reads `Cluster.stats()` when it is asked. Needs the extra `prometheus`.

What there is to read is in `metrics`; this file puts it into the client's words, and counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.core import Metric as Family
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.registry import Collector, CollectorRegistry
    from prometheus_client.utils import floatToGoString
except ImportError as exc:
    raise ImportError("prometheus-client is not installed: pip install 'aioclustersql[prometheus]'") from exc

from ..cluster import Cluster
from ..stats import Histogram
from .metrics import CLUSTER, NODE, Kind, Metric, States, Value
from .named import by_name

__all__ = ["ClusterCollector", "render"]


class ClusterCollector(Collector):
    """Clusters for a registry: `prometheus_client.REGISTRY.register(ClusterCollector(cluster))`.

    Each scrape reads `Cluster.stats()` once; nothing is counted beside it. Labels are `cluster` and `node`, and words out of
    fixed sets; a node that was removed is gone from the next scrape on.

    Raises `ConfigError` when two clusters have the same name.
    """

    def __init__(self, *clusters: Cluster[Any]) -> None:
        self._clusters = by_name(clusters)

    def describe(self) -> Iterator[Family]:
        """The metrics without their values: registering asks no cluster."""
        yield from (_family(metric, ()) for metric in CLUSTER)
        yield from (_family(metric, ()) for metric in NODE)

    def collect(self) -> Iterator[Family]:
        """The metrics as they are now."""
        stats = [cluster.stats() for cluster in self._clusters.values()]
        for metric in CLUSTER:
            family = _family(metric, ("cluster",))
            for each in stats:
                _add(family, (each.name,), metric.read(each))
            yield family
        for per_node in NODE:
            family = _family(per_node, ("cluster", "node"))
            for each in stats:
                for name, node in each.nodes.items():
                    _add(family, (each.name, name), per_node.read(node))
            yield family


def render(*clusters: Cluster[Any]) -> tuple[bytes, str]:
    """The body of an answer to a scrape, and its content type. Raises as `ClusterCollector`."""
    registry = CollectorRegistry()
    registry.register(ClusterCollector(*clusters))
    return generate_latest(registry), CONTENT_TYPE_LATEST


def _family(metric: Metric[Any], labels: Sequence[str]) -> Family:
    kinds: dict[Kind, Any] = {
        Kind.GAUGE: GaugeMetricFamily,
        Kind.COUNTER: CounterMetricFamily,
        Kind.HISTOGRAM: HistogramMetricFamily,
    }
    all_labels = [*labels, metric.label] if metric.label is not None else labels
    family: Family = kinds[metric.kind](metric.prometheus, metric.help, labels=all_labels)
    return family


def _add(family: Any, labels: Sequence[str], value: Value) -> None:
    if value is None:
        return
    if isinstance(value, States):
        for word, number in value.items():
            family.add_metric([*labels, word], number)
    elif isinstance(value, Histogram):
        bounds = [*map(floatToGoString, value.bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(value.counts), strict=True)), value.sum)
    else:
        family.add_metric(labels, float(value))
