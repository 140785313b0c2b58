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

    Metrics are read from `stats()` when they are collected, and cost the calls nothing. Of each histogram 10,000 samples at most
    are recorded per collection; of more, an even choice. Spans are made for connect, acquire and run; with a provider that
    records nothing they cost next to nothing.

    meter_provider, tracer_provider: None is the process's own; one that is set later is used from then on.

    Raises `ConfigError` when the cluster is instrumented already, or another one of its name is.
    """
    meters = metrics.get_meter_provider() if meter_provider is None else meter_provider
    tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
    end_spans = ClusterSpans(cluster, tracer).begin()
    try:
        end_metrics = report(cluster, meters, _SCOPE)
    except BaseException:
        end_spans()
        raise

    def end() -> None:
        end_spans()
        end_metrics()

    return end
