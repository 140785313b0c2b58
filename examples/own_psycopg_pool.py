"""psycopg_pool, fed by a cluster: its connections are opened on the node that fits now.

NODES="postgresql+psycopg://app@db1,db2,db3/shop" python examples/own_psycopg_pool.py
"""

import asyncio
import os
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

from aioclustersql import Cluster

NODES = os.environ.get("NODES", "postgresql+psycopg://postgres@localhost/postgres")
cluster = Cluster(NODES)


class FromCluster(psycopg.AsyncConnection[Any]):
    """What the pool takes for the class of its connections: it only asks it to connect."""

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Any:  # noqa: ARG003 - the cluster knows its nodes
        options.pop("connect_timeout", None)  # psycopg_pool's own; the cluster has one over the whole login
        return await cluster.connect(**options)


async def main() -> None:
    pool = AsyncConnectionPool(connection_class=FromCluster, min_size=2, max_size=10, open=False)
    async with cluster, pool, pool.connection() as conn:
        cursor = await conn.execute("SELECT pg_is_in_recovery()")
        print("writing on", cluster.node_of(conn), (await cursor.fetchone() or [None])[0])


if __name__ == "__main__":
    asyncio.run(main())
