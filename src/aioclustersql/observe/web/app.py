"""The app: its routes, and what holds for all of its answers. What is answered is in `answers`, `stream` and `actions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route

from ...cluster import Cluster
from ...errors import ConfigError
from ...node import Target
from ...settings import count, positive
from ..named import by_name
from . import answers
from .actions import act
from .assets import static
from .limiter import Limiter
from .paths import WithoutSlash
from .readiness import Readiness
from .security import SecureHeaders
from .stream import events
from .streams import Streams

__all__ = ["make_app"]


def make_app(
    clusters: Sequence[Cluster[Any]],
    *,
    token: str | None,
    ready_nodes: int,
    ready_target: str | None,
    max_streams: int,
    interval: float,
    allowed_hosts: Sequence[str] | None,
) -> Starlette:
    """See `status_app`."""
    by_name(clusters)
    if not clusters:
        raise ConfigError("the status app needs a cluster")
    if token is not None and (not isinstance(token, str) or not token.isascii() or not token.strip()):
        raise ConfigError("token is a string that is not empty, of ASCII characters, or None")
    if ready_target is not None:
        Target.parse(ready_target)
    every = positive(interval, "interval")
    readiness = Readiness(count(ready_nodes, 1, "ready_nodes"), ready_target)
    middleware = [Middleware(SecureHeaders), Middleware(WithoutSlash)]
    if allowed_hosts is not None:
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False))
    app = Starlette(
        routes=[
            Route("/", answers.page),
            Route("/page.json", answers.page_json),
            Route("/healthz", answers.healthz),
            Route("/readyz", answers.readyz),
            Route("/metrics", answers.metrics),
            Route("/debug/vars", answers.variables),
            Route("/stats.json", answers.stats),
            Route("/events", events),
            Route("/static/{name}", static),
            Route("/nodes/{node:path}/{action}", act, methods=["POST"]),
        ],
        middleware=middleware,
    )
    app.state.clusters = tuple(clusters)
    app.state.token = token
    app.state.refusals = Limiter(1)
    app.state.readiness = readiness
    app.state.streams = Streams(clusters, readiness, interval=every, max_streams=count(max_streams, 0, "max_streams"))
    return app
