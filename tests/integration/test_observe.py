"""What an operator sees on real servers: within 2 s all windows say which node, what, since when and why; then all is clear."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aioclustersql import Cluster
from aioclustersql.demo.postgres import PostgresCluster
from chaos.crowd import Crowd
from tests.integration.support import Engine, Galera, Postgres, until
from tests.integration.windows import Told, Windows
from tests.servers.galera import GaleraCluster

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

FROZEN = Told("down", {"up": 0, "health down": 1}, "up -> down: no answer to a probe", "no answer to a probe", ready=False)
KILLED = Told("down", {"up": 0, "health down": 1}, "up -> down: .*[Cc]onnect", "[Cc]onnect", ready=False)

ROLE = "do $$ begin create role app login; exception when duplicate_object then null; end $$"


@asynccontextmanager
async def windows(engine: Engine, log: pytest.LogCaptureFixture) -> AsyncIterator[tuple[Cluster[Any], Windows]]:
    """All of them, on a cluster of an application's user, when all is clear."""
    log.set_level(logging.INFO, "aioclustersql")
    urls = {node.name: engine.user_url(node.port) for node in engine.nodes}
    async with Cluster(urls, target=engine.any_node) as cluster, Windows(cluster, engine, log) as seen:
        await seen.are_clear(10.0)
        seen.mark()
        yield cluster, seen


@asynccontextmanager
async def crowded(cluster: Cluster[Any], node: Any) -> AsyncIterator[None]:
    """A node that has no connection left for us: strangers have them all, also those that we had."""
    crowd = Crowd(node, mysql=cluster.stats().driver == "aiomysql")
    try:
        await crowd.come()

        async def refused() -> bool:
            return cluster.stats().nodes[node.name].avoided

        await until(refused, "it still lets us in")
        yield
    finally:
        await crowd.leave()


async def test_every_window_tells_what_befalls_a_galera_node(galera: GaleraCluster, caplog: pytest.LogCaptureFixture) -> None:
    engine = Galera(galera)
    node = engine.nodes[1]
    async with windows(engine, caplog) as (cluster, seen):
        await asyncio.to_thread(node.sql, "SET GLOBAL wsrep_desync=ON")
        await seen.tell(node.name, Told("degraded", {"up": 1, "degraded": 1}, "degraded.*desynced", "desynced"))
        await asyncio.to_thread(node.sql, "SET GLOBAL wsrep_desync=OFF")
        await seen.are_clear()

        seen.mark()
        await asyncio.to_thread(node.sql, "SET GLOBAL read_only=1")
        demoted = Told("up", {"role read-only": 1}, "role peer -> read-only", role="read-only", ready=False)
        await seen.tell(node.name, demoted)
        await asyncio.to_thread(node.sql, "SET GLOBAL read_only=0")
        await seen.are_clear()

        seen.mark()
        await asyncio.to_thread(node.sql, "SET GLOBAL max_connections=20")
        full = Told("avoided", {"up": 1, "avoided": 1}, "a login failed: .*1040", "1040")
        async with crowded(cluster, node):
            await seen.tell(node.name, full)
        await seen.are_clear()
        assert "logins succeed again" in caplog.text

        seen.mark()
        node.freeze()
        await seen.tell(node.name, FROZEN)
        node.thaw()
        await seen.are_clear(20.0)

        seen.mark()
        node.kill9()
        await seen.tell(node.name, KILLED)
        await asyncio.to_thread(node.restart)
        await seen.are_clear(20.0)


async def test_every_window_tells_what_befalls_postgres_nodes(
    postgres: PostgresCluster, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(postgres.primary.sql, ROLE)
    await asyncio.to_thread(postgres.wait_replayed)
    engine = Postgres(postgres)
    primary, (heir, other) = postgres.primary, postgres.standbys
    async with windows(engine, caplog) as (cluster, seen):
        heir.freeze()
        await seen.tell(heir.name, FROZEN)
        heir.thaw()
        await seen.are_clear()

        seen.mark()
        full = Told("avoided", {"up": 1, "avoided": 1}, "a login failed: TooManyConn", "TooManyConn", role="standby")
        async with crowded(cluster, other):
            await seen.tell(other.name, full)
        await seen.are_clear()
        assert "logins succeed again" in caplog.text

        seen.mark()
        primary.kill9()
        await seen.tell(primary.name, KILLED)
        await asyncio.to_thread(heir.promote)
        promoted = Told("up", {"role primary": 1}, "role standby -> primary", role="primary", ready=False)
        await seen.tell(heir.name, promoted)

        seen.mark()
        await asyncio.to_thread(primary.rejoin, heir)
        demoted = Told("up", {"up": 1, "role standby": 1, "role primary": 0}, "role primary -> standby", role="standby")
        await seen.tell(primary.name, demoted)
        await seen.are_clear()
