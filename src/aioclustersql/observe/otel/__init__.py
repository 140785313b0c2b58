"""OpenTelemetry: metrics and spans by the semantic conventions for database clients. Needs the extra `otel`, the API alone.

end = instrument(cluster)     # the process's providers; end() ends it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from opentelemetry import metrics, trace
except ImportError as exc:
    raise ImportError("opentelemetry-api is not installed: pip install 'aioclustersql[otel]'") from exc

from ...cluster import Cluster
from .meters import report
from .tracing import ClusterSpans

__all__ = ["instrument"]

_SCOPE = "aioclustersql"


def instrument(
    cluster: Cluster[Any],
    *,
    meter_provider: metrics.MeterProvider | None = None,
    tracer_provider: trace.TracerProvider | None = None,
) -> Callable[[], None]:
    """Report a cluster's metrics and spans from now on. Returns the function that ends it (twice does no harm).

    Metrics are read from `stats()` when they are collected, and cost the calls nothing. Of each histogram 2,000 samples at most
    are recorded per collection; of more, an even part. Spans are made for connect, acquire and run.

    meter_provider: None is the process's own; one that is set later is used from then on.
    tracer_provider: None is the process's own, if one is set by now; without one, or with a `NoOpTracerProvider`, no spans are
        made, and calls cost what they did.

    Raises `ConfigError` when the cluster is instrumented already, or another one of its name is.
    """
    meters = metrics.get_meter_provider() if meter_provider is None else meter_provider
    tracers = trace.get_tracer_provider() if tracer_provider is None else tracer_provider
    end_metrics = report(cluster, meters, _SCOPE)
    if not isinstance(tracers, (trace.NoOpTracerProvider, trace.ProxyTracerProvider)):
        end_spans = ClusterSpans(cluster, tracers.get_tracer(_SCOPE)).begin()
    else:
        end_spans = _nothing

    def end() -> None:
        end_spans()
        end_metrics()

    return end


def _nothing() -> None:
    """There is nothing to end."""
