"""OpenTelemetry: metrics and spans by the conventions for database clients. Needs the extra `otel`, the API alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from ..cluster import Cluster

__all__ = ["instrument"]


def instrument(
    cluster: Cluster[Any], *, meter_provider: MeterProvider | None = None, tracer_provider: TracerProvider | None = None
) -> Callable[[], None]:
    """Report a cluster's metrics and spans from now on; None is the process's provider. Returns what ends it."""
    raise NotImplementedError
