"""What type checkers know of a cluster's connections; checked by mypy and by pyright in `make lint`, never run."""

from __future__ import annotations

from typing import Any, assert_type

import aiomysql
import aiosqlite
import asyncmy
import asyncpg
import psycopg

import aioclustersql
from aioclustersql import Cluster
from aioclustersql.testing import FakeConnection, FakeDriver


def the_name_of_a_driver_tells_the_class_of_its_connections() -> None:
    assert_type(Cluster(driver="aiomysql"), Cluster[aiomysql.Connection])
    assert_type(Cluster(driver="aiosqlite"), Cluster[aiosqlite.Connection])
    assert_type(Cluster(driver="asyncmy"), Cluster[asyncmy.Connection])
    assert_type(Cluster(driver="asyncpg"), Cluster[asyncpg.Connection[Any]])
    assert_type(Cluster(driver="psycopg"), Cluster[psycopg.AsyncConnection[Any]])


def so_does_a_driver_object() -> None:
    assert_type(Cluster({"n1": "fake://n1"}, driver=FakeDriver("n1"), max_size=3), Cluster[FakeConnection])


def any_other_name_tells_nothing(name: str) -> None:
    assert_type(Cluster("postgresql://db/shop", driver=name), Cluster[Any])
    assert_type(Cluster("postgresql://db/shop"), Cluster[Any])
    assert_type(Cluster.from_config("config.toml"), Cluster[Any])


async def connections_are_native() -> None:
    cluster = Cluster("postgresql://db1,db2/shop", driver="asyncpg", max_size=20)
    async with cluster:
        assert_type(await cluster.connect(), asyncpg.Connection[Any])
        async with cluster.acquire() as conn:
            assert_type(conn, asyncpg.Connection[Any])
        async with cluster.transaction() as conn:
            assert_type(conn, asyncpg.Connection[Any])
        async with cluster.with_options(target="prefer-standby").acquire() as conn:
            assert_type(conn, asyncpg.Connection[Any])
        assert_type(await cluster.run(total, 7), int)


async def total(conn: asyncpg.Connection[Any], article: int) -> int:
    return int(await conn.fetchval("select sum(pieces) from stock where article = $1", article))


async def the_one_liner_is_typed_alike() -> None:
    async with aioclustersql.connect("postgresql://db1,db2/shop", driver="psycopg") as conn:
        assert_type(conn, psycopg.AsyncConnection[Any])
    async with aioclustersql.connect("sqlite:///shop.db", driver="aiosqlite", timeout=1.0, detect_types=1) as conn:
        assert_type(conn, aiosqlite.Connection)
    assert_type(await aioclustersql.connect("fake://n1", driver=FakeDriver("n1")), FakeConnection)


async def prepared(conn: asyncmy.Connection) -> None:
    assert not conn.connected


hooks = Cluster("mysql://db1,db2/shop", driver="asyncmy", init=prepared)
assert_type(hooks, Cluster[asyncmy.Connection])
