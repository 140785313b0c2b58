"""aiohttp: a transaction per request, committed before its response; reads go to standbys.

psql shop -c 'CREATE TABLE visits (name text)'
NODES="postgresql://app@db1,db2,db3/shop" PYTHONPATH=examples python -m aiohttp.web -H localhost -P 8000 aiohttp_app:make_app
curl 'localhost:8000/?name=you'; curl -X POST 'localhost:8000/?name=you'; curl localhost:8000/readyz
"""

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
from aiohttp import web

from aioclustersql import AcquireTimeout, AllNodesFailed, Cluster, TransactionOutcomeUnknown

log = logging.getLogger(__name__)
NODES = os.environ.get("NODES", "postgresql://postgres@localhost/postgres")
cluster: Cluster[asyncpg.Connection] = Cluster(NODES, acquire_timeout=2.0, run_timeout=5.0)
readers = cluster.with_options(target="prefer-standby")  # the same pool; its transactions are read only
UNAVAILABLE = (AcquireTimeout, AllNodesFailed, TransactionOutcomeUnknown, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)


async def greet(conn: asyncpg.Connection, name: str) -> dict[str, str]:
    return {"greeting": await conn.fetchval("SELECT 'Hello, ' || $1", name), "node": cluster.node_of(conn)}


async def note(conn: asyncpg.Connection, name: str) -> int:
    await conn.execute("INSERT INTO visits (name) VALUES ($1)", name)
    return int(await conn.fetchval("SELECT count(*) FROM visits WHERE name = $1", name))


async def hello(request: web.Request) -> web.StreamResponse:
    return web.json_response(await readers.run(greet, request.query.get("name", "world")))


async def visit(request: web.Request) -> web.StreamResponse:
    visits = await cluster.run(note, request.query.get("name", "world"))  # committed when it returns
    return web.json_response({"visits": visits}, status=201)


async def readyz(_: web.Request) -> web.StreamResponse:
    health = {name: node.health for name, node in cluster.stats().nodes.items()}
    return web.json_response(health, status=200 if cluster.is_ready(target="any") else 503)


@web.middleware
async def unavailable(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except UNAVAILABLE as exc:
        error = exc
    log.error("%s", error)  # what each node was doing: for the log, not for the public
    unknown = isinstance(error, TransactionOutcomeUnknown)
    text = "nobody knows whether this was saved: look before you try again" if unknown else "no database node answers"
    return web.json_response({"error": text}, status=503, headers={} if unknown else {"Retry-After": "1"})


async def lifespan(_: web.Application) -> AsyncIterator[None]:
    async with cluster:  # never waits for a server: the service starts while its database is down
        yield


def make_app(_: list[str]) -> web.Application:
    app = web.Application(middlewares=[unavailable])
    app.add_routes([web.get("/", hello), web.post("/", visit), web.get("/readyz", readyz)])
    app.cleanup_ctx.append(lifespan)
    return app
