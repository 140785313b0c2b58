"""Errors of single nodes are masked while one works; when all fail the right error comes out; a restart goes unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pymysql
import pytest

from aioclustersql import AllNodesFailed, Cluster, Health
from aioclustersql.events import HealthChanged
from tests.integration.support import ENGINES, Engine, Galera, close_all, connect_one_by_one, engine_of, warm_up, watch

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]

USER = "limited"
LIMIT = 5


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers."""
    return engine_of(request)


def wrong_urls(engine: Engine) -> dict[str, tuple[str, str]]:
    """For each kind of mistake a URL that makes it on a real server, and what the error says."""
    port = engine.nodes[1].port
    names = {"nowhere": engine.dsn(port, host="nowhere.invalid"), "port": engine.dsn(1)}
    if isinstance(engine, Galera):
        return {
            "nowhere": (names["nowhere"], "2003"),
            "port": (names["port"], "2003"),
            "password": (engine.dsn(port, user="app:wrong"), "1045"),
            "database": (engine.dsn(port, database="missing"), "1049"),
        }
    return {
        "nowhere": (names["nowhere"], "gaierror"),
        "port": (names["port"], "ConnectionRefusedError"),
        "role": (engine.dsn(port, user="missing"), "InvalidAuthorizationSpecificationError"),
        "database": (engine.dsn(port, database="missing"), "InvalidCatalogNameError"),
    }


async def test_mistakes_of_some_nodes_are_masked(engine: Engine) -> None:
    wrong = wrong_urls(engine)
    urls = {name: url for name, (url, _) in wrong.items()}
    async with Cluster(
        {**urls, "good": engine.dsn(engine.nodes[0].port)}, target=engine.any_node, monitor_interval=None
    ) as cluster:
        nodes, slowest = await connect_one_by_one(cluster, 50)
        assert nodes == {"good": 50}
        assert slowest < 5
        for name, (_, error) in wrong.items():
            assert error in (cluster.stats().nodes[name].last_error_message or "")


@pytest.mark.parametrize("wait", [False, True])
async def test_when_all_are_mistaken_each_is_named_at_once(engine: Engine, wait: bool) -> None:
    wrong = {name: each for name, each in wrong_urls(engine).items() if not wait or name != "port"}
    async with Cluster({name: url for name, (url, _) in wrong.items()}, target=engine.any_node, monitor_interval=None) as cluster:
        with pytest.raises(AllNodesFailed) as caught:
            await cluster.connect(wait=wait)
        assert set(caught.value.errors) == set(wrong)
        assert isinstance(caught.value.__cause__, ExceptionGroup)
        for name, (_, error) in wrong.items():
            (part,) = [part for part in str(caught.value).split("; ") if f"{name} (" in part]
            assert error in part
        healths = {name: node.health for name, node in cluster.stats().nodes.items()}
        # A server that refuses a password is up.
        assert healths == {name: Health.DOWN if name == "port" else Health.UP for name in wrong}


@asynccontextmanager
async def limited_user(engine: Engine, full: Sequence[Any]) -> AsyncIterator[str]:
    """A user for whom there are few connections on these nodes."""
    if isinstance(engine, Galera):
        for node in full:
            await asyncio.to_thread(node.sql, "SET GLOBAL max_connections=10")
        yield "plain:pw"
        return
    await asyncio.to_thread(engine.nodes[0].sql, f"create role {USER} login connection limit {LIMIT}")
    try:
        for node in engine.nodes[1:]:
            await asyncio.to_thread(wait_for_role, node)
        yield USER
    finally:
        await asyncio.to_thread(engine.nodes[0].sql, f"drop role {USER}")


@asynccontextmanager
async def exhausted(engine: Engine, full: Sequence[Any]) -> AsyncIterator[dict[str, str]]:
    """URLs of all nodes for a user who has no connection left on these."""
    async with limited_user(engine, full) as user:
        urls = {node.name: engine.dsn(node.port, user=user) for node in engine.nodes}
        held: list[Any] = []
        try:
            for node in full:
                async with Cluster({"this": urls[node.name]}, target=engine.any_node, monitor_interval=None) as cluster:
                    with pytest.raises(AllNodesFailed):
                        while True:
                            held.append(await cluster.connect())
            yield urls
        finally:
            await close_all(engine, held)
            await engine.wait_left()


def wait_for_role(node: Any) -> None:
    while node.value(f"select count(*) from pg_roles where rolname = '{USER}'") == "0":
        pass


async def test_a_full_server_is_masked_and_trips_nothing(engine: Engine) -> None:
    async with (
        exhausted(engine, engine.nodes[:1]) as urls,
        Cluster(urls, target=engine.any_node, monitor_interval=None) as cluster,
    ):
        health = watch(cluster, HealthChanged)
        nodes, _ = await connect_one_by_one(cluster, 100)
        assert set(nodes) <= {node.name for node in engine.nodes[1:]}
        assert health == []


async def test_when_all_servers_are_full_the_error_says_so(engine: Engine) -> None:
    code = 1040 if isinstance(engine, Galera) else "53300"
    async with exhausted(engine, engine.nodes) as urls, Cluster(urls, target=engine.any_node, monitor_interval=None) as cluster:
        with pytest.raises(AllNodesFailed) as caught:
            await cluster.connect()
        for error in caught.value.errors.values():
            assert isinstance(error, (pymysql.err.OperationalError, asyncpg.TooManyConnectionsError))
            assert (error.args[0] if isinstance(error, pymysql.err.OperationalError) else error.sqlstate) == code
        assert {node.health for node in cluster.stats().nodes.values()} == {Health.UP}


async def test_a_server_that_restarts_is_not_noticed(engine: Engine) -> None:
    node = engine.nodes[2]
    stop = node.terminate if isinstance(engine, Galera) else node.stop
    start = node.restart if isinstance(engine, Galera) else node.start

    async def restart() -> None:
        await asyncio.to_thread(stop)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(start)

    async with engine.unwatched() as cluster:
        await warm_up(cluster)
        restarting = asyncio.create_task(restart())
        during: set[str] = set()
        while not restarting.done():
            nodes, slowest = await connect_one_by_one(cluster, 10)
            during |= set(nodes)
            assert slowest < 2
        await restarting
        assert during & {engine.nodes[0].name, engine.nodes[1].name}
        async with asyncio.timeout(15):
            while node.name not in (await connect_one_by_one(cluster, 10))[0]:
                await asyncio.sleep(0.05)
