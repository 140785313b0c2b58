"""SQLAlchemy's ORM on a cluster: a unit of work that runs again when its node dies, and reports that are read from standbys.

NODES="postgresql://app@db1,db2,db3/shop" python examples/sqlalchemy_orm.py
"""

import asyncio
import os

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from aioclustersql import Cluster
from aioclustersql.sqlalchemy import create_async_engine, node_of, run

NODES = os.environ.get("NODES", "postgresql://postgres@localhost/postgres")

cluster = Cluster(NODES)  # nothing is opened yet
writer = create_async_engine(cluster, pool_size=10)
reader = create_async_engine(cluster, target="prefer-standby", pool_size=20)
sessions = async_sessionmaker(writer, expire_on_commit=False)
reports = async_sessionmaker(reader)


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "sqlalchemy_articles"

    name: Mapped[str] = mapped_column(primary_key=True)
    pieces: Mapped[int]


async def deliver(session: AsyncSession, name: str, pieces: int) -> Article:
    """A unit of work: it may run twice, so it does nothing outside of the database, and leaves COMMIT to `run`."""
    article = await session.get(Article, name, with_for_update=True)
    if article is None:
        session.add(article := Article(name=name, pieces=0))
    article.pieces += pieces
    return article


async def main() -> None:
    async with cluster:  # opens the monitor, which tells the engines what their nodes are
        async with writer.begin() as conn:
            await conn.run_sync(Base.metadata.drop_all)
            await conn.run_sync(Base.metadata.create_all)

        await run(sessions, deliver, "apples", 3)
        article = await run(sessions, deliver, "apples", 4)
        print(f"{article.pieces} {article.name}")

        async with sessions.begin() as session:  # a session as ever: committed at its end, never run again
            session.add(Article(name="pears", pieces=5))
            print("written on", await node_of(session))
        async with reports() as session:  # a standby may be a moment late
            print("counted on", await node_of(session), "so far:", await session.scalar(select(func.count(Article.name))))
        async with sessions() as session:  # one statement of it on a standby
            query = select(func.pg_is_in_recovery())
            print("a standby:", await session.scalar(query, bind_arguments={"bind": reader.sync_engine}))

        async with writer.begin() as conn:
            await conn.run_sync(Base.metadata.drop_all)
        await writer.dispose()
        await reader.dispose()


if __name__ == "__main__":
    asyncio.run(main())
