"""Use a Galera cluster, where every node takes writes, and see how the connections are spread over its nodes.

NODES="mysql://app@maria1,maria2,maria3/shop" python examples/quickstart_aiomysql.py
"""

import asyncio
import os
from collections import Counter

from aioclustersql import Cluster

NODES = os.environ.get("NODES", "mysql://root@localhost/test")

cluster = Cluster(NODES, connect_options={"charset": "utf8mb4"})  # nothing is opened yet


async def main() -> None:
    async with cluster:
        async with cluster.connect() as conn:  # an aiomysql.Connection
            async with conn.cursor() as cursor:
                await cursor.execute("CREATE TEMPORARY TABLE basket (article VARCHAR(20), pieces INT)")
                await cursor.executemany("INSERT INTO basket VALUES (%s, %s)", [("apples", 3), ("pears", 4)])
                await cursor.execute("SELECT CAST(SUM(pieces) AS SIGNED) FROM basket")
                (pieces,) = await cursor.fetchone()
            await conn.commit()  # as always with aiomysql: autocommit is off
            print(f"{cluster.node_of(conn)} keeps {pieces} pieces")

        visits: Counter[str] = Counter()
        for _ in range(30):
            async with cluster.connect() as conn:
                visits[cluster.node_of(conn)] += 1
        print("30 more connections:", ", ".join(f"{count} to {node}" for node, count in sorted(visits.items())))


if __name__ == "__main__":
    asyncio.run(main())
