"""Write on the primary, read from a standby, and see what the cluster has learnt about its nodes.

NODES="postgresql://app@db1,db2,db3/shop" python examples/quickstart_asyncpg.py
"""

import asyncio
import os

import asyncpg

from aioclustersql import Cluster

NODES = os.environ.get("NODES", "postgresql://postgres@localhost/postgres")

cluster: Cluster[asyncpg.Connection] = Cluster(NODES)  # nothing is opened yet


async def fill(conn: asyncpg.Connection, basket: list[tuple[str, int]]) -> int:
    """A unit of work: in a transaction, and once more elsewhere if its node dies. So it does nothing outside of the database."""
    await conn.executemany("INSERT INTO quickstart_basket VALUES ($1, $2)", basket)
    return int(await conn.fetchval("SELECT sum(pieces) FROM quickstart_basket"))


async def main() -> None:
    async with cluster:  # opens the pool and the monitor, and waits for no server
        async with cluster.acquire() as conn:  # an asyncpg.Connection, on a node that takes writes
            await conn.execute(
                "DROP TABLE IF EXISTS quickstart_basket; CREATE TABLE quickstart_basket (article text, pieces int)"
            )
            writer = cluster.node_of(conn)
        pieces = await cluster.run(fill, [("apples", 3), ("pears", 4)])
        print(f"{writer} keeps {pieces} pieces")

        reader = cluster.with_options(target="prefer-standby")  # the same pool
        async with reader.acquire() as conn:
            standby = await conn.fetchval("SELECT pg_is_in_recovery()")
            print(f"{cluster.node_of(conn)} is {'a standby' if standby else 'the primary: no standby answered'}")

        async with cluster.acquire() as conn:
            await conn.execute("DROP TABLE quickstart_basket")
        for node in cluster.stats().nodes.values():
            print(f"{node.name}: {node.health}, {node.role}, {node.idle + node.leased + node.returning} pooled connections")


if __name__ == "__main__":
    asyncio.run(main())
