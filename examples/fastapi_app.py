"""FastAPI: a transaction per request, committed before its response; reads go to standbys.

psql shop -c 'CREATE TABLE visits (name text)'
NODES="postgresql://app@db1,db2,db3/shop" uvicorn --app-dir examples fastapi_app:app
curl 'localhost:8000/?name=you'; curl -X POST 'localhost:8000/?name=you'; curl localhost:8000/readyz
"""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

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


async def transaction() -> AsyncIterator[asyncpg.Connection]:
    async with cluster.transaction() as conn:  # for a handler that is not to run twice
        yield conn


Conn = Annotated[Any, Depends(transaction, scope="function")]  # without the scope COMMIT would come after the response


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with cluster:  # never waits for a server: the service starts while its database is down
        yield


async def unavailable(_: Request, error: Exception) -> JSONResponse:
    log.error("%s", error)  # what each node was doing: for the log, not for the public
    unknown = isinstance(error, TransactionOutcomeUnknown)
    text = "nobody knows whether this was saved: look before you try again" if unknown else "no database node answers"
    return JSONResponse({"error": text}, status_code=503, headers={} if unknown else {"Retry-After": "1"})


app = FastAPI(lifespan=lifespan, exception_handlers=dict.fromkeys(UNAVAILABLE, unavailable))


@app.get("/")
async def hello(name: str = "world") -> dict[str, str]:
    return await readers.run(greet, name)


@app.post("/", status_code=201)
async def visit(name: str = "world") -> dict[str, int]:
    return {"visits": await cluster.run(note, name)}  # committed when it returns


@app.put("/", status_code=201)
async def visit_once(conn: Conn, name: str = "world") -> dict[str, int]:
    return {"visits": await note(conn, name)}


@app.get("/readyz")
async def readyz() -> JSONResponse:
    health = {name: node.health for name, node in cluster.stats().nodes.items()}
    return JSONResponse(health, status_code=200 if cluster.is_ready(target="any") else 503)
