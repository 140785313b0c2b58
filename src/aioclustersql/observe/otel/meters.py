"""The metrics of clusters for one meter provider, read from `stats()` when they are collected.

The API has no histogram that is read instead of recorded, and recording each lease would cost it more than it takes. So the
library's own buckets are handed over at each collection: of each bucket as many samples as it grew by, each of their average.
Rule: the sums and, in the library's buckets, the counts are exact up to `MOST` samples per collection; of more, an even part.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.metrics import Histogram as Instrument

from ...cluster import Cluster
from ...errors import ConfigError
from ...policy.histogram import BOUNDS
from ...stats import ClusterStats, Histogram, NodeStats
from ..metrics import CLUSTER, NODE, Kind, Metric, States
from .attributes import STATE, pool_attributes, server_attributes

__all__ = ["MOST", "report"]

MOST = 2_000
"""So many samples of one histogram are recorded at one collection; each costs the SDK some microseconds."""

Attributes = Mapping[str, str | int]


def report(cluster: Cluster[Any], provider: MeterProvider, scope: str) -> Callable[[], None]:
    """Report a cluster there from now on; returns what ends it. Raises `ConfigError` for a name that is reported already."""
    with _lock:
        reporter = _reporters.get(provider)
        if reporter is None:
            reporter = _reporters[provider] = Reporter(provider, scope)
        return reporter.add(cluster)


_lock = threading.Lock()


class Reporter:
    """The instruments of one provider, shared by all clusters that report there: the API allows each name once."""

    def __init__(self, provider: MeterProvider, scope: str) -> None:
        self._meter = meter = provider.get_meter(scope)
        self._clusters: dict[str, Cluster[Any]] = {}
        self._seen: dict[tuple[str, ...], Histogram] = {}
        self._recording = threading.Lock()
        histogram = partial(meter.create_histogram, unit="s", explicit_bucket_boundaries_advisory=BOUNDS)
        self._create = histogram("db.client.connection.create_time", description="The time it took to create a new connection.")
        self._wait = histogram(
            "db.client.connection.wait_time", description="The time it took to obtain an open connection from the pool."
        )
        self._use = histogram(
            "db.client.connection.use_time", description="The time between borrowing a connection and returning it to the pool."
        )
        self._standard()
        self._own()

    def add(self, cluster: Cluster[Any]) -> Callable[[], None]:
        """Report this cluster, too."""
        name = cluster.name
        if name in self._clusters:
            raise ConfigError(f"a cluster named {name!r} is instrumented already; tell clusters apart by Cluster(..., name=...)")
        self._clusters = {**self._clusters, name: cluster}

        def end() -> None:
            if self._clusters.get(name) is cluster:
                self._hand_over(cluster.stats())
                self._clusters = {key: other for key, other in self._clusters.items() if other is not cluster}
                self._seen = {key: seen for key, seen in self._seen.items() if key[0] != name}

        self._note(cluster.stats())  # what was before is not told
        return end

    # -- read when collected -------------------------------------------------------------------------------------------

    def _standard(self) -> None:
        gauge, counter = self._meter.create_observable_up_down_counter, self._meter.create_observable_counter
        callbacks = (self._read(_connections),)
        gauge("db.client.connection.count", callbacks, "{connection}", "Connections that are in a state.")
        per_node: tuple[tuple[str, Callable[[ClusterStats], int], str], ...] = (
            ("idle.min", lambda stats: stats.min_size, "The minimum number of idle open connections allowed."),
            ("idle.max", lambda stats: stats.max_size, "The maximum number of idle open connections allowed."),
            ("max", lambda stats: stats.max_size, "The maximum number of open connections allowed."),
        )
        for name, read, text in per_node:
            gauge(f"db.client.connection.{name}", (self._read(partial(_of_each_node, read)),), "{connection}", text)
        callbacks = (self._read(partial(_of_the_pool, lambda stats: stats.waiting)),)
        gauge("db.client.connection.pending_requests", callbacks, "{request}", "Callers that wait for a connection.")
        callbacks = (self._read(self._timeouts),)
        counter("db.client.connection.timeouts", callbacks, "{timeout}", "Callers that waited for a connection in vain.")

    def _own(self) -> None:
        for metric in CLUSTER:
            self._observe(metric, partial(_values, metric))
        for per_node in NODE:
            self._observe(per_node, partial(_node_values, per_node))

    def _observe(self, metric: Metric[Any], values: Callable[[ClusterStats], Iterable[Observation]]) -> None:
        if metric.standard:
            return
        counts = metric.kind is Kind.COUNTER
        create = self._meter.create_observable_counter if counts else self._meter.create_observable_gauge
        create(metric.otel, (self._read(values),), metric.unit or "1", metric.help)

    def _read(self, values: Callable[[ClusterStats], Iterable[Observation]]) -> Callable[[CallbackOptions], list[Observation]]:
        def callback(_options: CallbackOptions) -> list[Observation]:
            return [value for cluster in self._clusters.values() for value in values(cluster.stats())]

        return callback

    def _timeouts(self, stats: ClusterStats) -> Iterator[Observation]:
        """Every collection comes by here: what the histograms grew by is handed over as well."""
        self._hand_over(stats)
        yield Observation(stats.timeouts, pool_attributes(stats.name, stats.driver))

    # -- histograms ----------------------------------------------------------------------------------------------------

    def _hand_over(self, stats: ClusterStats) -> None:
        """Record what was not recorded before."""
        with self._recording:
            for key, instrument, histogram, attributes in self._histograms(stats):
                before = self._seen.get(key)
                self._seen[key] = histogram
                for count, average in _growth(before, histogram):
                    for _ in range(count):
                        instrument.record(average, attributes)
            self._forget_removed(stats)

    def _note(self, stats: ClusterStats) -> None:
        with self._recording:
            self._seen.update({key: histogram for key, _, histogram, _ in self._histograms(stats)})

    def _histograms(self, stats: ClusterStats) -> Iterator[tuple[tuple[str, ...], Instrument, Histogram, Attributes]]:
        pool = pool_attributes(stats.name, stats.driver)
        yield (stats.name,), self._wait, stats.wait_times, pool
        for name, node in stats.nodes.items():
            here = {**pool, **server_attributes(name, node.address)}
            yield (stats.name, "create", name), self._create, node.login_times, here
            yield (stats.name, "use", name), self._use, node.lease_times, here

    def _forget_removed(self, stats: ClusterStats) -> None:
        for key in [key for key in self._seen if len(key) > 1 and key[0] == stats.name and key[2] not in stats.nodes]:
            del self._seen[key]


_reporters: WeakKeyDictionary[MeterProvider, Reporter] = WeakKeyDictionary()


def _growth(before: Histogram | None, now: Histogram) -> Iterator[tuple[int, float]]:
    """What it grew by: so many samples of such an average, bucket by bucket."""
    if before is None or before.count > now.count:  # a node that was added anew under its name
        before = Histogram(now.bounds, (0,) * len(now.counts), (0.0,) * len(now.sums))
    counts = [new - old for new, old in zip(now.counts, before.counts, strict=True)]
    sums = [new - old for new, old in zip(now.sums, before.sums, strict=True)]
    part = min(1.0, MOST / max(1, sum(counts)))
    for count, seconds, least, most in zip(counts, sums, (0.0, *now.bounds), (*now.bounds, math.inf), strict=True):
        if count > 0:
            average = min(seconds / count, most)  # what was rounded in adding is not to leave the bucket
            yield max(1, round(count * part)), average if average > least else math.nextafter(least, most)


def _connections(stats: ClusterStats) -> Iterator[Observation]:
    for attributes, node in _nodes(stats):
        for state, count in (("idle", node.idle), ("used", node.leased + node.returning)):
            yield Observation(count, {**attributes, STATE: state})


def _of_each_node(read: Callable[[ClusterStats], int], stats: ClusterStats) -> Iterator[Observation]:
    for attributes, _ in _nodes(stats):
        yield Observation(read(stats), attributes)


def _of_the_pool(read: Callable[[ClusterStats], int], stats: ClusterStats) -> Iterator[Observation]:
    yield Observation(read(stats), pool_attributes(stats.name, stats.driver))


def _nodes(stats: ClusterStats) -> Iterator[tuple[Attributes, NodeStats]]:
    pool = pool_attributes(stats.name, stats.driver)
    for name, node in stats.nodes.items():
        yield {**pool, **server_attributes(name, node.address)}, node


def _values(metric: Metric[ClusterStats], stats: ClusterStats) -> Iterator[Observation]:
    yield from _observations(metric, metric.read(stats), pool_attributes(stats.name, stats.driver))


def _node_values(metric: Metric[NodeStats], stats: ClusterStats) -> Iterator[Observation]:
    for attributes, node in _nodes(stats):
        yield from _observations(metric, metric.read(node), attributes)


def _observations(metric: Metric[Any], value: object, attributes: Attributes) -> Iterator[Observation]:
    if isinstance(value, States):
        for word, number in value.items():
            yield Observation(number, {**attributes, f"aioclustersql.{metric.label}": str(word)})
    elif isinstance(value, (int, float)):
        yield Observation(float(value) if metric.kind is Kind.GAUGE else value, attributes)
