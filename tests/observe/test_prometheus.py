"""Prometheus: what its own parser reads in a scrape is what `stats()` says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from aioclustersql import AcquireTimeout, Cluster, ConfigError
from aioclustersql.observe.metrics import CLUSTER, NODE
from aioclustersql.observe.prometheus import ClusterCollector, render
from tests.runtime.conftest import Pooling, Racing

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(*clusters: Cluster[Any]) -> Samples:
    """What is read: (name, labels) -> value."""
    body, content_type = render(*clusters)
    assert content_type.startswith("text/plain")
    families = list(text_string_to_metric_families(body.decode()))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def labels(**given: str) -> frozenset[tuple[str, str]]:
    return frozenset({"cluster": "cluster", **given}.items())


def label_sets(samples: Samples) -> Iterable[dict[str, str]]:
    return (dict(found) for _, found in samples)


async def test_a_scrape_tells_what_stats_tells(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.25, "ok"), ("b", 0.125, "refused"), max_size=3)
    async with cluster.acquire():
        samples, stats = scrape(cluster), cluster.stats()
        assert samples["aioclustersql_node_up", labels(node="a")] == 1
        assert samples["aioclustersql_node_up", labels(node="b")] == 0
        assert samples["aioclustersql_node_health", labels(node="b", health="down")] == 1
        assert samples["aioclustersql_node_connections", labels(node="a", state="leased")] == 1
        assert samples["aioclustersql_node_errors_total", labels(node="b")] == stats.nodes["b"].errors > 0
        assert samples["aioclustersql_pool_max_size", labels()] == 3


async def test_histograms_are_cumulative_and_complete(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.25, "ok"), max_size=1)
    async with cluster.acquire():
        await asyncio.sleep(2)
    samples = scrape(cluster)
    lease = "aioclustersql_node_lease_seconds"
    assert samples[f"{lease}_bucket", labels(node="a", le="1.0")] == 0
    assert samples[f"{lease}_bucket", labels(node="a", le="2.5")] == 1
    assert samples[f"{lease}_bucket", labels(node="a", le="+Inf")] == samples[f"{lease}_count", labels(node="a")] == 1
    assert samples[f"{lease}_sum", labels(node="a")] == 2
    assert samples["aioclustersql_node_login_seconds_bucket", labels(node="a", le="0.25")] == 1
    assert samples["aioclustersql_pool_wait_seconds_sum", labels()] == 0.25


async def test_a_lease_at_hand_is_a_wait_of_no_time(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.25, "ok"))
    for _ in range(3):
        async with cluster.acquire():
            pass
        await asyncio.sleep(0.125)
    samples = scrape(cluster)
    assert samples["aioclustersql_pool_wait_seconds_bucket", labels(le="0.0005")] == 2
    assert samples["aioclustersql_pool_wait_seconds_count", labels()] == 3


async def test_who_waits_in_vain_is_counted(pooling: Pooling):
    cluster, _ = await pooling(("a", 0.25, "ok"), max_size=1)
    async with cluster.acquire():
        waiting = asyncio.create_task(cluster.acquire(timeout=1))
        await asyncio.sleep(0.5)
        assert scrape(cluster)["aioclustersql_pool_waiting", labels()] == 1
        assert scrape(cluster)["aioclustersql_node_waiting", labels(node="a")] == 1
        with pytest.raises(AcquireTimeout):
            await waiting
    assert scrape(cluster)["aioclustersql_pool_timeouts_total", labels()] == 1


async def test_a_node_that_was_removed_is_gone_and_no_label_grows(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.125, "refused"))
    before: Samples = {}
    for number in range(20):
        driver["b"].outcome = RuntimeError(f"error number {number}")
        cluster.add_node(f"passing-{number}", "fake://app@a/test")
        driver.terminate(await cluster.connect())
        cluster.remove_node(f"passing-{number}")
        samples = scrape(cluster)
        before = before or samples
    assert not any("passing" in found.get("node", "") for found in label_sets(samples))
    assert not any("error number" in value for found in label_sets(samples) for value in found.values())
    assert {key for key in samples if "timestamp" not in key[0]} - {k for k in before if "timestamp" not in k[0]} <= {
        (name, found) for name, found in samples if "latency" in name
    }


async def test_every_metric_of_the_table_is_there_and_no_other(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    body, _content_type = render(cluster)
    families = {family.name for family in text_string_to_metric_families(body.decode())}
    assert families == {metric.prometheus for metric in CLUSTER} | {metric.prometheus for metric in NODE}


async def test_several_clusters_are_told_apart(racing: Racing):
    shop, _ = racing(("a", 0.25, "ok"), name="shop")
    logs, _ = racing(("a", 0.25, "ok"), name="logs")
    assert {found["cluster"] for found in label_sets(scrape(shop, logs))} == {"shop", "logs"}


async def test_two_clusters_of_one_name_are_an_error(racing: Racing):
    one, _ = racing(("a", 0.25, "ok"))
    other, _ = racing(("b", 0.25, "ok"))
    with pytest.raises(ConfigError, match="two clusters are named"):
        ClusterCollector(one, other)


async def test_the_collector_is_refused_twice_by_a_registry(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    registry = CollectorRegistry()
    registry.register(ClusterCollector(cluster))
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(ClusterCollector(cluster))
