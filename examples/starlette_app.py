"""A web service with a connection around each request: it goes on answering while one of its database nodes is down.

NODES="postgresql://app@db1,db2,db3/shop" uvicorn --app-dir examples starlette_app:app
curl 'localhost:8000/?name=you'; curl localhost:8000/readyz
"""

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aioclustersql import AllNodesFailed, Cluster, ConnectTimeout, Health, NoNodeAvailable

log = logging.getLogger(__name__)

NODES = os.environ.get("NODES", "postgresql://postgres@localhost/postgres")

cluster: Cluster[asyncpg.Connection] = Cluster(
    NODES,
    target="prefer-standby",  # this service only reads
    connect_timeout=2.0,
    connect_options={"command_timeout": 5.0},  # a node may freeze after it has let us in, too
)


def with_connection(
    handler: Callable[[Request, asyncpg.Connection], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Hand the handler a connection of its own, and close it after the handler's end."""

    @wraps(handler)
    async def endpoint(request: Request) -> Response:
        async with cluster.connect() as conn:
            return await handler(request, conn)

    return endpoint


@with_connection
async def hello(request: Request, conn: asyncpg.Connection) -> Response:
    greeting = await conn.fetchval("SELECT 'Hello, ' || $1", request.query_params.get("name", "world"))
    return JSONResponse({"greeting": greeting, "node": cluster.node_of(conn)})


async def readyz(_: Request) -> Response:
    """Ready while the last logins found a node up. When they found none, try again: without traffic nobody else does."""
    health = {name: node.health for name, node in cluster.stats().nodes.items()}
    if Health.UP not in health.values():
        async with cluster.connect(timeout=1.0) as conn:
            health[cluster.node_of(conn)] = Health.UP
    return JSONResponse(health)


async def unavailable(_: Request, error: Exception) -> Response:
    log.error("%s", error)  # every node and its cause: for the log, not for the public
    return JSONResponse({"error": "no database node answers"}, status_code=503, headers={"Retry-After": "1"})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with cluster:  # never waits for a server: the service starts while its database is down
        yield


app = Starlette(
    routes=[Route("/", hello), Route("/readyz", readyz)],
    exception_handlers=dict.fromkeys((AllNodesFailed, ConnectTimeout, NoNodeAvailable), unavailable),
    lifespan=lifespan,
)
