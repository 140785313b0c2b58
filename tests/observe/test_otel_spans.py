"""OpenTelemetry's spans, as the SDK's exporter has them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, StatusCode

from aioclustersql import AllNodesFailed
from aioclustersql.failure import FailureKind
from aioclustersql.observe.otel import instrument
from aioclustersql.opening import TracedAcquiring
from aioclustersql.testing import FakeConnection
from tests.runtime.conftest import Pooling, Racing
from tests.runtime.leases import fails


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> dict[str, Any]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return {"tracer_provider": provider}


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def write(conn: FakeConnection) -> None:
    await conn.execute("WRITE")


async def test_a_connect_is_a_span_with_its_node(racing: Racing, exporter: InMemorySpanExporter, tracing: Any):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.125, "refused"), name="shop")
    end = instrument(cluster, **tracing)
    await cluster.connect()
    end()
    [span] = exporter.get_finished_spans()
    assert span.name == "aioclustersql.connect"
    assert attributes(span) == {
        "db.client.connection.pool.name": "shop",
        "db.system.name": "other_sql",
        "aioclustersql.target": "read-write",
        "aioclustersql.node": "a",
        "server.address": "a",
    }


async def test_an_acquire_is_a_span_entered_or_awaited(pooling: Pooling, exporter: InMemorySpanExporter, tracing: Any):
    cluster, _ = await pooling(("a", 0.25, "ok"))
    end = instrument(cluster, **tracing)
    async with cluster.acquire():
        pass
    await cluster.release(await cluster.acquire())
    end()
    assert [span.name for span in exporter.get_finished_spans()] == ["aioclustersql.acquire"] * 2


async def test_a_run_is_a_span_around_its_acquires_with_its_retries(
    pooling: Pooling, exporter: InMemorySpanExporter, tracing: Any
):
    cluster, driver = await pooling(("a", 0.25, "ok"))
    driver["a"].on_execute = fails("WRITE", FailureKind.ROLLED_BACK)
    end = instrument(cluster, **tracing)
    await cluster.run(write)
    end()
    *acquires, run = exporter.get_finished_spans()
    assert (run.name, {span.name for span in acquires}) == ("aioclustersql.run", {"aioclustersql.acquire"})
    assert run.context is not None
    assert {span.parent.span_id for span in acquires if span.parent} == {run.context.span_id}
    [retry] = run.events
    told = dict(retry.attributes or {})
    assert (retry.name, told["aioclustersql.node"], told["aioclustersql.run"]) == ("retry", "a", 1)
    assert told["exception.message"] == "FakeError: rolled-back"
    assert run.status.status_code is StatusCode.UNSET


async def test_an_error_is_noted_without_a_traceback(racing: Racing, exporter: InMemorySpanExporter, tracing: Any):
    cluster, _ = racing(("a", 0.25, "wrong-password"))
    end = instrument(cluster, **tracing)
    with pytest.raises(AllNodesFailed):
        await cluster.connect()
    end()
    [span] = exporter.get_finished_spans()
    [event] = span.events
    assert (span.status.status_code, attributes(span)["error.type"]) == (StatusCode.ERROR, "AllNodesFailed")
    assert set(event.attributes or {}) == {"exception.type", "exception.message"}


async def test_a_cancel_is_no_error(racing: Racing, exporter: InMemorySpanExporter, tracing: Any):
    cluster, _ = racing(("a", 5, "ok"))
    end = instrument(cluster, **tracing)
    connecting = asyncio.create_task(cluster.connect())
    await asyncio.sleep(1)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    end()
    [span] = exporter.get_finished_spans()
    assert (span.status.status_code, [event.name for event in span.events]) == (StatusCode.UNSET, ["cancelled"])


async def test_without_a_provider_that_records_calls_are_left_alone(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    end = instrument(cluster, tracer_provider=NoOpTracerProvider())
    assert cluster._registry.spans is None
    assert not isinstance(cluster.acquire(), TracedAcquiring)
    end()


async def test_what_was_undone_is_traced_no_more(pooling: Pooling, exporter: InMemorySpanExporter, tracing: Any):
    cluster, _ = await pooling(("a", 0.25, "ok"))
    end = instrument(cluster, **tracing)
    acquiring = cluster.acquire()
    end()
    async with acquiring:
        await cluster.run(write)
    assert exporter.get_finished_spans() == ()
