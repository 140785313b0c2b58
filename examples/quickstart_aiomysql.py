"""Use a Galera cluster, where every node takes writes, and see how the connections are spread over its nodes.

NODES="mysql://app@maria1,maria2,maria3/shop" python examples/quickstart_aiomysql.py
"""

import asyncio
import os
from collections import Counter
from typing import Any

from aioclustersql import Cluster

NODES = os.environ.get("NODES", "mysql://root@localhost/test")

cluster = Cluster(NODES, connect_options={"charset": "utf8mb4"})  # nothing is opened yet


async def fill(conn: Any, basket: list[tuple[str, int]]) -> int:
    """A unit of work: in a transaction, and once more elsewhere if its node dies. The COMMIT is not its business."""
    async with conn.cursor() as cursor:
        await cursor.executemany("INSERT INTO quickstart_basket (article, pieces) VALUES (%s, %s)", basket)
        await cursor.execute("SELECT CAST(SUM(pieces) AS SIGNED) FROM quickstart_basket")
        (pieces,) = await cursor.fetchone()
    return int(pieces)


async def visit() -> str:
    async with cluster.acquire() as conn, conn.cursor() as cursor:  # conn: an aiomysql.Connection
        await cursor.execute("SELECT SLEEP(0.02)")
        return cluster.node_of(conn)


async def main() -> None:
    async with cluster:  # opens the pool and the monitor, and waits for no server
        async with cluster.acquire() as conn, conn.cursor() as cursor:  # not in `run`: DDL commits by itself
            await cursor.execute(
                "CREATE OR REPLACE TABLE quickstart_basket (id INT PRIMARY KEY AUTO_INCREMENT, article VARCHAR(20), pieces INT)"
            )
        print(f"{await cluster.run(fill, [('apples', 3), ('pears', 4)])} pieces are kept")

        visits = Counter(await asyncio.gather(*(visit() for _ in range(30))))
        print("30 visits at once:", ", ".join(f"{count} to {node}" for node, count in sorted(visits.items())))

        async with cluster.acquire() as conn, conn.cursor() as cursor:
            await cursor.execute("DROP TABLE quickstart_basket")


if __name__ == "__main__":
    asyncio.run(main())
