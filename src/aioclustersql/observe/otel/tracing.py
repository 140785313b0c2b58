"""Spans of connect, acquire and run, with a run's retries as events.

Rule: an exception is noted by its class and its text without passwords, never with its traceback, which shows what it came from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from ...cluster import Cluster
from .attributes import ERROR_TYPE, NODE, pool_attributes, server_attributes

__all__ = ["ClusterSpans"]


class CallSpan:
    """One call. Satisfies `runtime.spans.Span`."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def served_by(self, node: str, address: str) -> None:
        """As `Span.served_by`."""
        self._span.set_attributes(server_attributes(node, address))

    def retried(self, node: str, run: int, error: str, pause: float) -> None:
        """As `Span.retried`."""
        attributes: dict[str, str | int | float] = {
            NODE: node,
            "aioclustersql.run": run,
            "exception.message": error,
            "aioclustersql.pause": pause,
        }
        self._span.add_event("retry", attributes)


class ClusterSpans:
    """The spans of one cluster. Satisfies `runtime.spans.Spans`."""

    def __init__(self, cluster: Cluster[Any], tracer: Tracer) -> None:
        self._registry = cluster._engine.registry
        self._tracer = tracer

    def begin(self) -> Callable[[], None]:
        """Trace from now on; returns what ends it. Who traced it before does so no more."""
        registry = self._registry
        registry.spans = self

        def end() -> None:
            if registry.spans is self:
                registry.spans = None

        return end

    @contextmanager
    def span(self, what: str, target: str) -> Iterator[CallSpan]:
        """As `Spans.span`."""
        registry = self._registry
        driver = registry.driver.name if registry.has_driver else None
        attributes = {**pool_attributes(registry.cluster, driver), "aioclustersql.target": str(target)}
        with self._tracer.start_as_current_span(
            f"aioclustersql.{what}",
            kind=SpanKind.INTERNAL,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield CallSpan(span)
            except asyncio.CancelledError:
                span.add_event("cancelled")  # the caller's own wish, and no error
                raise
            except Exception as exc:
                text = registry.describe(exc)
                kind = type(exc).__qualname__
                span.set_attribute(ERROR_TYPE, kind)
                span.set_status(StatusCode.ERROR, text)
                span.add_event("exception", {"exception.type": kind, "exception.message": text})
                raise
