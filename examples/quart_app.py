"""Quart: a transaction per request, committed before its response; reads go to standbys.

psql shop -c 'CREATE TABLE visits (name text)'
NODES="postgresql://app@db1,db2,db3/shop" uvicorn --app-dir examples quart_app:app
curl 'localhost:8000/?name=you'; curl -X POST 'localhost:8000/?name=you'; curl localhost:8000/readyz
"""

import logging
import os
from collections.abc import AsyncGenerator

import asyncpg
from quart import Quart, ResponseReturnValue, request

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


app = Quart(__name__)


@app.while_serving
async def lifespan() -> AsyncGenerator[None, None]:
    async with cluster:  # never waits for a server: the service starts while its database is down
        yield


@app.get("/")
async def hello() -> ResponseReturnValue:
    return dict(await readers.run(greet, request.args.get("name", "world")))


@app.post("/")
async def visit() -> ResponseReturnValue:
    return {"visits": await cluster.run(note, request.args.get("name", "world"))}, 201  # committed when `run` returns


@app.get("/readyz")
async def readyz() -> ResponseReturnValue:
    health = {name: node.health for name, node in cluster.stats().nodes.items()}
    return health, 200 if cluster.is_ready(target="any") else 503


async def unavailable(error: Exception) -> ResponseReturnValue:
    log.error("%s", error)  # what each node was doing: for the log, not for the public
    unknown = isinstance(error, TransactionOutcomeUnknown)
    text = "nobody knows whether this was saved: look before you try again" if unknown else "no database node answers"
    return {"error": text}, 503, {} if unknown else {"Retry-After": "1"}


for kind in UNAVAILABLE:
    app.register_error_handler(kind, unavailable)
