"""What is read: the page, the probes, and the figures for programs. Nothing here asks a database."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from ..debugvars import debug_vars
from .assets import render
from .streams import Streams

__all__ = ["healthz", "metrics", "page", "page_json", "readyz", "stats", "variables"]


def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


def _shown(request: Request) -> dict[str, Any]:
    return {**_streams(request).page(), "actions": request.app.state.token is not None}


async def page(request: Request) -> Response:
    """GET /: all that the page shows, so that it can be read without JavaScript."""
    asked = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")
    if asked and not asked.endswith("/"):  # mounted, and asked for without the slash: the page's links are relative
        return RedirectResponse(asked.rpartition("/")[2] + "/", status_code=307)
    streams = _streams(request)
    return Response(
        render(
            "page.html",
            **_shown(request),
            lines=[line.shown for line in reversed(streams.lines)],
            races=[line.shown for line in reversed(streams.race_lines)],
        ),
        media_type="text/html",
    )


async def page_json(request: Request) -> Response:
    """GET /page.json: for the page where it cannot listen."""
    return JSONResponse(_shown(request))


async def healthz(_: Request) -> Response:
    """GET /healthz: this process answers."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """GET /readyz: every cluster has the nodes that it needs; else 503, and why; and what each node is, since when."""
    clusters = {
        each["name"]: {"ready": each["ready"], "reason": each["reason"], "nodes": each["states"]}
        for each in _streams(request).stats()
    }
    ready = all(each["ready"] for each in clusters.values())
    return JSONResponse({"ready": ready, "clusters": clusters}, status_code=200 if ready else 503)


async def metrics(request: Request) -> Response:
    """GET /metrics: for Prometheus."""
    try:
        from ..prometheus import render as render_metrics
    except ImportError:
        return PlainTextResponse("this needs prometheus-client: pip install 'aioclustersql[prometheus]'\n", 501)
    body, content_type = render_metrics(*request.app.state.clusters)
    return Response(body, headers={"Content-Type": content_type})


async def variables(request: Request) -> Response:
    """GET /debug/vars: under the original's names."""
    return JSONResponse(debug_vars(request.app.state.clusters))


async def stats(request: Request) -> Response:
    """GET /stats.json."""
    return JSONResponse(_streams(request).stats())
