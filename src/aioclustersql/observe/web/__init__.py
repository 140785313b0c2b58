"""The status page: one ASGI app that shows what clusters are doing, answers probes and, with a token, drains nodes.

    app = Starlette(routes=[Mount("/status", status_app(cluster))])

Its routes, relative to where it is mounted (every GET answers HEAD, too):

    GET  /              the page: live by /events, else by polling /page.json; a plain table without JavaScript
    GET  /healthz       200 "ok" while this process answers; asks neither the database nor the clusters
    GET  /readyz        200 or 503, {"ready": bool, "clusters": {name: {"ready": bool, "reason": str | null}}}
    GET  /metrics       Prometheus (extra `prometheus`; without it 501 and the extra's name)
    GET  /debug/vars    the original's expvar names, as JSON
    GET  /stats.json    [cluster, ...]: each `ClusterStats.as_dict()` with two keys more, "ready": bool, "reason": str | null
    GET  /events        server-sent events; see below
    GET  /page.json     what the page shows, as text that is ready to be shown; for the page alone
    POST /nodes/{cluster}/{node}/drain|resume|expire    with `Authorization: Bearer TOKEN`; drain?timeout=SECONDS (30)
         200 {"cluster", "node", "action", "interrupted": int | null}; else {"error": str} with 400 a wrong time-out,
         401 no token or a wrong one, 403 none is configured, 404 no such node, 409 not possible now

The events of /events, each with JSON as its data; what happened has an `id`, so that a client that comes back with
`Last-Event-ID` misses only what has left the history:

    stats   at once and then once a second: the same as /stats.json
    event   {"at": ISO 8601, "cluster": str, "kind": "HealthChanged" or another class of `aioclustersql.events`,
             "level": "info" | "good" | "warning" | "bad", "node": str | null, "text": str, "fields": {the event's own}}
             All but those of logins and connects, which come as:
    race    {"at": ISO 8601 of its begin, "cluster": str, "kind": "connect" | "pool" | "probe", "node": the winner | null,
             "seconds": float, "error": str | null, "skipped": races left out since the last line,
             "logins": [{"node", "reason", "start": seconds after `at`, "seconds", "outcome": "won" | "lost" | "failed" | "cut",
             "error": str | null}, ...]}
             One line when the last login is over; at most ten a second, those that went wrong or hedged first.
    page    with /events?page instead of `stats`: the same as /page.json

/events answers 503 with Retry-After when as many listen as may. It ends when the client leaves, reads too slowly, or
`app.state.streams.close()` is called: do that when a server begins to shut down, which else waits for its clients.
"""
