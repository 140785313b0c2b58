"""Starlette: a transaction per request, committed before its response; reads go to standbys.

psql shop -c 'CREATE TABLE visits (name text)'
NODES="postgresql://app@db1,db2,db3/shop" uvicorn --app-dir examples starlette_app:app
curl 'localhost:8000/?name=you'; curl -X POST 'localhost:8000/?name=you'; curl localhost:8000/readyz
"""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

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


async def hello(request: Request) -> Response:
    return JSONResponse(await readers.run(greet, request.query_params.get("name", "world")))


async def visit(request: Request) -> Response:
    visits = await cluster.run(note, request.query_params.get("name", "world"))  # committed when it returns
    return JSONResponse({"visits": visits}, status_code=201)


async def readyz(_: Request) -> Response:
    health = {name: node.health for name, node in cluster.stats().nodes.items()}
    return JSONResponse(health, status_code=200 if cluster.is_ready(target="any") else 503)


async def unavailable(_: Request, error: Exception) -> Response:
    log.error("%s", error)  # what each node was doing: for the log, not for the public
    unknown = isinstance(error, TransactionOutcomeUnknown)
    text = "nobody knows whether this was saved: look before you try again" if unknown else "no database node answers"
    return JSONResponse({"error": text}, status_code=503, headers={} if unknown else {"Retry-After": "1"})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with cluster:  # never waits for a server: the service starts while its database is down
        yield


app = Starlette(
    routes=[Route("/", hello), Route("/", visit, methods=["POST"]), Route("/readyz", readyz)],
    exception_handlers=dict.fromkeys(UNAVAILABLE, unavailable),
    lifespan=lifespan,
)
