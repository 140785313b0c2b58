"""Write on the primary, read from a standby, and see what the cluster has learnt about its nodes.

NODES="postgresql://app@db1,db2,db3/shop" python examples/quickstart_asyncpg.py
"""

import asyncio
import os

import asyncpg

from aioclustersql import Cluster

NODES = os.environ.get("NODES", "postgresql://postgres@localhost/postgres")

cluster: Cluster[asyncpg.Connection] = Cluster(NODES)  # nothing is opened yet


async def main() -> None:
    async with cluster:
        async with cluster.connect() as conn:  # an asyncpg.Connection, on a node that takes writes
            await conn.execute("CREATE TEMPORARY TABLE basket (article text, pieces int)")
            await conn.executemany("INSERT INTO basket VALUES ($1, $2)", [("apples", 3), ("pears", 4)])
            pieces = await conn.fetchval("SELECT sum(pieces) FROM basket")
            print(f"{cluster.node_of(conn)} keeps {pieces} pieces")

        reader = cluster.with_options(target="prefer-standby")
        async with reader.connect() as conn:
            standby = await conn.fetchval("SELECT pg_is_in_recovery()")
            print(f"{cluster.node_of(conn)} is {'a standby' if standby else 'the primary: no standby answered'}")

        for node in cluster.stats().nodes.values():
            login = "not measured yet" if node.latency is None else f"a login takes {1000 * node.latency:.1f} ms"
            print(f"{node.name}: {node.health}, {node.connections} connections, {login}")


if __name__ == "__main__":
    asyncio.run(main())
