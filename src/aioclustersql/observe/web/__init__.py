"""The status page: one ASGI app that shows what clusters are doing, answers probes and, with a token, drains nodes.

    app = Starlette(routes=[Mount("/status", status_app(cluster))])

Its routes, relative to where it is mounted (every GET answers HEAD, too):

    GET  /              the page: live by /events, else by polling /page.json; a plain table without JavaScript
    GET  /healthz       200 "ok" while this process answers; asks neither the database nor the clusters
    GET  /readyz        200 or 503, {"ready": bool, "clusters": {name: {"ready": bool, "reason": str | null,
                        "nodes": {name: str}}}}
    GET  /metrics       Prometheus (extra `prometheus`; without it 501 and the extra's name)
    GET  /debug/vars    the original's expvar names, as JSON
    GET  /stats.json    [cluster, ...]: each `ClusterStats.as_dict()` with "ready": bool, "reason": str | null,
                        "states": {name: str} more
    GET  /events        server-sent events; see below
    GET  /page.json     what the page shows, as text that is ready to be shown; for the page alone
    POST /nodes/{cluster}/{node}/drain|resume|expire    with `Authorization: Bearer TOKEN`; drain?timeout=SECONDS (30)
         200 {"cluster", "node", "action", "interrupted": int | null}; else {"error": str} with 400 a wrong time-out,
         401 no token or a wrong one, 403 none is configured, 404 no such node, 409 not possible now

The events of /events, each with JSON as its data; what happened has an `id`, so that a client that comes back with
`Last-Event-ID` misses only what has left the history:

    stats   at once, then once a second and after each `event`: the same as /stats.json
    event   {"at": ISO 8601, "cluster": str, "kind": "HealthChanged" or another class of `aioclustersql.events`,
             "level": "info" | "good" | "warning" | "bad", "node": str | null, "text": str, "fields": {the event's own}}
             with "skipped": as for races. All but those of logins and connects, which come as:
    race    {"at": ISO 8601 of its begin, "cluster": str, "kind": "connect" | "pool" | "probe", "node": the winner | null,
             "seconds": float, "error": str | null, "skipped": races left out since the last line,
             "logins": [{"node", "reason", "start": seconds after `at`, "seconds", "outcome": "won" | "lost" | "failed" | "cut",
             "error": str | null}, ...]}
             One line when the last login is over; at most ten a second of the usual ones, and ten of the others.
    With /events?page, for the page alone: `page` instead of `stats`, and lines that are ready to be shown.

/events answers 503 with Retry-After when as many listen as may. It ends when the client leaves, reads too slowly, or
`app.state.streams.close()` is called: do that when a server begins to shut down, which else waits for its clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...cluster import Cluster
from ...errors import ConfigError

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["status_app"]


def status_app(
    *clusters: Cluster[Any],
    token: str | None = None,
    ready_nodes: int = 1,
    ready_target: str | None = None,
    max_streams: int = 20,
    interval: float = 1.0,
    allowed_hosts: Sequence[str] | None = None,
) -> Starlette:
    """The status app of some clusters, to be mounted under any path of an ASGI app, or served by itself.

    It opens and closes no cluster, and belongs into the event loop that they are used in. Making it starts nothing; nothing is
    asked of a cluster while nobody looks.

    token: what who drains, resumes and expires nodes must know; None: the app only shows. Never shown or logged.
    ready_nodes, ready_target: what makes a cluster ready, as in `Cluster.is_ready`; by default one node that serves its target.
    max_streams: how many may listen to /events at once; others get 503, and the page asks every other second instead.
    interval: seconds from one look at the clusters to the next, while somebody listens.
    allowed_hosts: names that a request may give for this host ("status.example.org"); None: any. Set it where no other server is
        in front, so that a page elsewhere cannot read the status by a name of its own that leads here (DNS rebinding).

    `app.state.streams.close()` ends all streams. Raises `ConfigError` for what is wrong, such as two clusters of one name, an
    unknown target or an empty token, and where the extra is missing: pip install 'aioclustersql[web]'.
    """
    try:
        from .app import make_app  # starlette and jinja2 are imported only by those who want the page
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("aioclustersql"):
            raise
        raise ConfigError(f"the status app needs the package {exc.name!r}: pip install 'aioclustersql[web]'") from exc
    return make_app(
        clusters,
        token=token,
        ready_nodes=ready_nodes,
        ready_target=ready_target,
        max_streams=max_streams,
        interval=interval,
        allowed_hosts=allowed_hosts,
    )
