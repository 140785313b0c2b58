"""The env.py of Alembic for a cluster: migrations run on the node that takes writes now, one transaction for each.

[alembic]
script_location = migrations          # this file is migrations/env.py
nodes = postgresql://app@db1,db2,db3/shop
"""

import asyncio

from alembic import context
from sqlalchemy import Connection

from aioclustersql import Cluster
from aioclustersql.sqlalchemy import create_async_engine

target_metadata = None  # your Base.metadata, for --autogenerate


def migrate(conn: Connection) -> None:
    context.configure(connection=conn, target_metadata=target_metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


async def main(nodes: str) -> None:
    # A migration is long work: its connection is not cut when the node falls silent for a second.
    cluster = Cluster(nodes, monitor_interrupt=False)
    async with cluster:
        engine = create_async_engine(cluster.with_options(interrupt=False))
        async with engine.connect() as conn:
            await conn.run_sync(migrate)
        await engine.dispose()


nodes = context.config.get_main_option("nodes")
if not nodes:
    raise SystemExit("alembic.ini names no nodes: nodes = postgresql://app@db1,db2,db3/shop")
asyncio.run(main(nodes))
