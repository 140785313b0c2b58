"""Planted passwords are shown nowhere: page, JSON, streams, `watch`, `check`, metrics, log, spans, exceptions, reprs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aioclustersql import AllNodesFailed, Cluster, ConfigError
from aioclustersql.observe import debug_vars
from aioclustersql.observe.otel import instrument
from aioclustersql.observe.prometheus import render
from aioclustersql.testing import FakeConnection, FakeError
from tests.secret_windows import Looking, checked, values
from tests.secrets import SECRETS, Plant


class Watched:
    """A cluster over planted nodes, with everybody looking on."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.cluster: Cluster[FakeConnection] = plant.cluster(attempts=2, close_timeout=1)
        self.reader, self.spans = InMemoryMetricReader(), InMemorySpanExporter()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.windows = Looking(self.cluster)
        self.end = instrument(self.cluster, meter_provider=meters, tracer_provider=tracers)

    async def everything(self) -> list[object]:
        metrics = self.reader.get_metrics_data()
        assert metrics is not None
        spans = [span.to_json() for span in self.spans.get_finished_spans()]
        assert spans
        return [
            self.plant.shown(self.cluster),
            json.dumps(debug_vars([self.cluster])),
            render(self.cluster)[0],
            metrics.to_json(),
            *spans,
            *values(self.plant, self.cluster),
            *await self.windows.seen(),
        ]


@pytest.fixture
async def watched(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Watched]:
    caplog.set_level(logging.DEBUG)
    made = Watched(Plant())
    yield made
    made.end()
    await made.windows.leave()
    await made.cluster.close()
    made.plant.assert_hidden(caplog.text)


async def test_a_failed_connect_shows_no_password(watched: Watched, caplog: pytest.LogCaptureFixture):
    with pytest.raises(AllNodesFailed) as caught:
        await watched.cluster.connect()
    told = await watched.everything()
    watched.plant.assert_hidden(*told, caught.value, repr(caught.value), caplog.text)
    assert sum("no entry for app with ***" in str(each) for each in told) >= 9
    assert caplog.text.count("a login failed: RuntimeError: no entry for app with ***") == len(SECRETS)


async def test_a_cluster_whose_monitor_is_refused_shows_no_password(watched: Watched, caplog: pytest.LogCaptureFixture):
    async with watched.cluster:
        with pytest.raises(TimeoutError) as caught:
            await watched.cluster.acquire(timeout=2)
        told = await watched.everything()
        assert all("no entry for app with ***" in str(stream) for stream in told[-2:])
        watched.plant.assert_hidden(*told, str(caught.value), caplog.text)
    assert "***" in caplog.text


async def test_a_run_that_fails_shows_no_password(watched: Watched, caplog: pytest.LogCaptureFixture):
    async def work(conn: FakeConnection) -> None:
        await conn.execute("FAIL")

    watched.plant.let_in()
    async with watched.cluster:
        with pytest.raises(FakeError) as caught:
            await watched.cluster.run(work)
        await asyncio.sleep(1)
        watched.plant.assert_hidden(*await watched.everything(), *caught.value.__notes__, caplog.text)
    assert [type(event).__name__ for event in watched.plant.events].count("RunRetried") == 1


async def test_a_check_shows_no_password():
    plant = Plant()
    printed = await checked(plant)
    plant.assert_hidden(*printed)
    assert all("no entry for app with ***" in each for each in printed[:3])


@pytest.mark.parametrize("dsn", ["fak://app:{}@url/test", "fake://app:{}@url:port/test", "app:{}@url/test"])
def test_a_wrong_configuration_is_told_without_its_password(dsn: str):
    plant = Plant()
    with pytest.raises(ConfigError) as caught:
        Cluster({"url": dsn.format(SECRETS["url"])}, driver=plant.driver)
    plant.assert_hidden(caught.value, repr(caught.value))


def test_the_search_finds_a_password():
    for secret in SECRETS.values():
        with pytest.raises(AssertionError, match="a password is shown"):
            Plant().assert_hidden("nothing here", f'{{"dsn": "{secret}"}}'.encode())
