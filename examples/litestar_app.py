"""Litestar: a transaction per request, committed before its response; reads go to standbys.

psql shop -c 'CREATE TABLE visits (name text)'
NODES="postgresql://app@db1,db2,db3/shop" uvicorn --app-dir examples litestar_app:app
curl 'localhost:8000/?name=you'; curl -X POST 'localhost:8000/?name=you'; curl localhost:8000/readyz
"""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from litestar import Litestar, Request, Response, get, post

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


@get("/")
async def hello(request: Request[Any, Any, Any]) -> dict[str, str]:
    return await readers.run(greet, request.query_params.get("name", "world"))


@post("/")
async def visit(request: Request[Any, Any, Any]) -> dict[str, int]:
    return {"visits": await cluster.run(note, request.query_params.get("name", "world"))}  # committed when it returns


@get("/readyz", sync_to_thread=False)
def readyz() -> Response[dict[str, str]]:
    health = {name: str(node.health) for name, node in cluster.stats().nodes.items()}
    return Response(health, status_code=200 if cluster.is_ready(target="any") else 503)


def unavailable(_: Request[Any, Any, Any], error: Exception) -> Response[dict[str, str]]:
    log.error("%s", error)  # what each node was doing: for the log, not for the public
    unknown = isinstance(error, TransactionOutcomeUnknown)
    text = "nobody knows whether this was saved: look before you try again" if unknown else "no database node answers"
    return Response({"error": text}, status_code=503, headers={} if unknown else {"Retry-After": "1"})


@asynccontextmanager
async def lifespan(_: Litestar) -> AsyncIterator[None]:
    async with cluster:  # never waits for a server: the service starts while its database is down
        yield


app = Litestar([hello, visit, readyz], lifespan=[lifespan], exception_handlers=dict.fromkeys(UNAVAILABLE, unavailable))
