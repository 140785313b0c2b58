"""OpenTelemetry's metrics, as the SDK's reader has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.semconv._incubating.metrics import db_metrics

from aioclustersql import AcquireTimeout, Cluster, ConfigError
from aioclustersql.observe.otel import instrument, meters
from tests.runtime.conftest import Pooling, Racing

Reading = Callable[[], dict[str, Any]]


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> MeterProvider:
    return MeterProvider([reader], shutdown_on_exit=False)


@pytest.fixture
def read(reader: InMemoryMetricReader) -> Reading:
    """Collects: name -> the metric."""

    def now() -> dict[str, Any]:
        data = reader.get_metrics_data()
        resources = data.resource_metrics if data is not None else ()
        return {metric.name: metric for each in resources for scope in each.scope_metrics for metric in scope.metrics}

    return now


def points(metric: Any, **attributes: str | int) -> list[Any]:
    wanted = {key.replace("__", "."): value for key, value in attributes.items()}
    return [point for point in metric.data.data_points if wanted.items() <= dict(point.attributes).items()]


async def test_the_pool_is_told_by_the_conventions(pooling: Pooling, provider: MeterProvider, read: Reading):
    cluster, _ = await pooling(("a", 0.25, "ok"), ("b", 0.125, "refused"), name="shop", min_size=1, max_size=3)
    end = instrument(cluster, meter_provider=provider)
    async with cluster.acquire():
        found = read()
    here = {"db__client__connection__pool__name": "shop", "aioclustersql__node": "a"}
    [used] = points(found["db.client.connection.count"], **here, db__client__connection__state="used")
    [idle] = points(found["db.client.connection.count"], **here, db__client__connection__state="idle")
    assert (used.value, idle.value) == (1, 0)
    [most], [least] = points(found["db.client.connection.max"], **here), points(found["db.client.connection.idle.min"], **here)
    assert (most.value, least.value) == (3, 1)
    assert used.attributes["server.address"] == "a"
    end()


async def test_names_and_units_are_those_of_the_conventions(pooling: Pooling, provider: MeterProvider, read: Reading):
    cluster, _ = await pooling(("a", 0.25, "ok"))
    end = instrument(cluster, meter_provider=provider)
    async with cluster.acquire():
        pass
    found = {name: metric.unit for name, metric in read().items() if name.startswith("db.")}
    names = {value for key, value in vars(db_metrics).items() if key.startswith("DB_CLIENT_CONNECTION_")}
    units = {"idle.min": "{connection}", "count": "{connection}", "timeouts": "{timeout}", "pending_requests": "{request}"}
    assert set(found) == names
    assert {name: found[f"db.client.connection.{name}"] for name in units} == units
    assert {found[f"db.client.connection.{name}_time"] for name in ("create", "wait", "use")} == {"s"}
    end()


async def test_histograms_have_the_counts_and_the_sums(pooling: Pooling, provider: MeterProvider, read: Reading):
    cluster, _ = await pooling(("a", 0.25, "ok"), max_size=1)
    end = instrument(cluster, meter_provider=provider)
    for seconds in (2, 1.5, 0.125):
        async with cluster.acquire():
            await asyncio.sleep(seconds)
        await asyncio.sleep(0.125)
    found = read()
    [use] = points(found["db.client.connection.use_time"], aioclustersql__node="a")
    assert (use.count, use.sum) == (3, pytest.approx(3.625))
    lasting = dict(zip((*use.explicit_bounds, "more"), use.bucket_counts, strict=True))
    assert (lasting[0.25], lasting[2.5]) == (1, 2)
    [wait], [create] = points(found["db.client.connection.wait_time"]), points(found["db.client.connection.create_time"])
    assert (wait.count, wait.sum, create.count, create.sum) == (3, 0.25, 1, 0.25)
    assert points(read()["db.client.connection.use_time"], aioclustersql__node="a")[0].count == 3
    end()


async def test_of_very_many_samples_an_even_part_is_recorded(
    pooling: Pooling, provider: MeterProvider, read: Reading, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(meters, "MOST", 10)
    cluster, _ = await pooling(("a", 0.25, "ok"))
    end = instrument(cluster, meter_provider=provider)
    tally = cluster._registry.get("a").lease_times
    for seconds in (0.004, 0.2) * 50:
        tally.observe(seconds)
    [use] = points(read()["db.client.connection.use_time"])
    lasting = dict(zip((*use.explicit_bounds, "more"), use.bucket_counts, strict=True))
    assert (use.count, lasting[0.005], lasting[0.25]) == (10, 5, 5)
    end()


async def test_who_waits_in_vain_is_counted(pooling: Pooling, provider: MeterProvider, read: Reading):
    cluster, _ = await pooling(("a", 0.25, "ok"), max_size=1)
    end = instrument(cluster, meter_provider=provider)
    async with cluster.acquire():
        with pytest.raises(AcquireTimeout):
            await cluster.acquire(timeout=1)
    assert points(read()["db.client.connection.timeouts"])[0].value == 1
    end()


async def test_several_clusters_share_a_provider(
    racing: Racing, provider: MeterProvider, read: Reading, caplog: pytest.LogCaptureFixture
):
    shop, _ = racing(("a", 0.25, "ok"), name="shop")
    logs, _ = racing(("a", 0.25, "ok"), name="logs")
    ends = [instrument(cluster, meter_provider=provider) for cluster in (shop, logs)]
    pools = [point.attributes["db.client.connection.pool.name"] for point in points(read()["db.client.connection.max"])]
    assert pools == ["shop", "logs"]
    assert caplog.messages == []
    for end in ends:
        end()


async def test_what_was_undone_is_told_no_more_and_may_begin_again(racing: Racing, provider: MeterProvider, read: Reading):
    cluster, _ = racing(("a", 0.25, "ok"))
    end = instrument(cluster, meter_provider=provider)
    end()
    end()
    assert "db.client.connection.max" not in read()
    again = instrument(cluster, meter_provider=provider)
    assert len(points(read()["db.client.connection.max"])) == 1
    again()


async def test_instrumenting_twice_is_an_error(racing: Racing, provider: MeterProvider):
    def twice(cluster: Cluster[Any]) -> None:
        with pytest.raises(ConfigError, match="instrumented already"):
            instrument(cluster, meter_provider=provider)

    cluster, _ = racing(("a", 0.25, "ok"))
    namesake, _ = racing(("a", 0.25, "ok"))
    end = instrument(cluster, meter_provider=provider)
    twice(cluster)
    twice(namesake)
    end()
    instrument(namesake, meter_provider=provider)()
