"""asyncpg's own pool, fed by a cluster: its connections are opened on the node that fits now.

NODES="postgresql://app@db1,db2,db3/shop" python examples/own_pool.py
"""

import asyncio
import os

import asyncpg

from aioclustersql import Cluster

NODES = os.environ.get("NODES", "postgresql://postgres@localhost/postgres")


async def main() -> None:
    async with (
        Cluster(NODES) as cluster,
        asyncpg.create_pool(connect=cluster.connect, min_size=2, max_size=10) as pool,
        asyncpg.create_pool(connect=cluster.with_options(target="prefer-standby").connect) as readers,
    ):
        async with pool.acquire() as conn, conn.transaction():
            print("writing on", cluster.node_of(conn), await conn.fetchval("SELECT pg_is_in_recovery()"))
        async with readers.acquire() as conn:
            print("reading on", cluster.node_of(conn), await conn.fetchval("SELECT pg_is_in_recovery()"))


if __name__ == "__main__":
    asyncio.run(main())
