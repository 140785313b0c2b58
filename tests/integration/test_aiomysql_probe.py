"""What the aiomysql driver learns of real servers by its probe, and of a socket by a look at it."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

import asyncio

import pytest

from aioclustersql.drivers.base import Observation
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role
from tests.integration.logins import mysql_connected as connected
from tests.integration.logins import mysql_driver as driver
from tests.servers.galera import GaleraCluster
from tests.servers.plain import PlainServer

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

every_depth = pytest.mark.parametrize("causal", [False, True], ids=["plain", "causal"])


@every_depth
async def test_a_healthy_galera_node(galera: GaleraCluster, causal: bool):
    for user in ("root", "plain"):
        async with connected(galera.nodes[0].dsn(user)) as conn:
            assert await driver.probe(conn, causal=causal) == Observation(Role.PEER, lag=0.0, lag_bytes=0)


@every_depth
async def test_a_galera_node_outside_of_the_primary_component_is_not_ready(galera: GaleraCluster, causal: bool):
    node = galera.nodes[2]
    async with connected(node.dsn("app")) as conn:
        await asyncio.to_thread(node.isolate)
        found = await driver.probe(conn, causal=causal)
        assert (found.role, found.ready) == (Role.PEER, False)
        assert found.cause is not None
        assert "primary component" in found.cause


@every_depth
async def test_a_galera_node_that_rejects_queries_is_not_ready(galera: GaleraCluster, causal: bool):
    node = galera.nodes[0]
    async with connected(node.dsn("app")) as conn:
        node.sql("SET GLOBAL wsrep_reject_queries=ALL")
        found = await driver.probe(conn, causal=causal)
        assert (found.ready, found.cause) == (False, "it rejects queries (wsrep_reject_queries)")


async def test_a_desynced_galera_node_is_degraded(galera: GaleraCluster):
    node = galera.nodes[0]
    async with connected(node.dsn("app")) as conn:
        node.sql("SET GLOBAL wsrep_desync=ON")
        found = await driver.probe(conn, causal=True)
        assert (found.role, found.ready, found.degraded, found.cause) == (
            Role.PEER,
            True,
            True,
            "a donor of a state transfer, or desynced",
        )


async def test_a_read_only_galera_node(galera: GaleraCluster):
    node = galera.nodes[0]
    async with connected(node.dsn("app")) as conn:
        node.sql("SET GLOBAL read_only=1")
        found = await driver.probe(conn, causal=False)
        assert (found.role, found.ready) == (Role.READ_ONLY, True)


async def test_a_node_that_was_frozen_does_not_lie_to_a_causal_probe(galera: GaleraCluster):
    node, other = galera.nodes[:2]
    async with connected(node.dsn("app")) as conn:
        node.freeze()
        async with asyncio.timeout(20):
            while other.status("wsrep_cluster_size")["wsrep_cluster_size"] == 3:
                await asyncio.sleep(0.02)
        node.thaw()  # for a moment a plain probe may be told that all is well
        try:
            async with asyncio.timeout(0.3):
                ready = (await driver.probe(conn, causal=True)).ready
        except TimeoutError:
            ready = False
        assert not ready


async def test_a_lost_node_raises(galera: GaleraCluster):
    node = galera.nodes[0]
    async with connected(node.dsn("app")) as conn:
        await driver.probe(conn, causal=False)
        await asyncio.to_thread(node.kill9)
        with pytest.raises(Exception) as caught:
            await driver.probe(conn, causal=False)
        assert driver.classify(caught.value) in (FailureKind.SESSION_LOST, FailureKind.FOUND_CLOSED)


@every_depth
async def test_a_plain_server_is_a_primary(mariadb: PlainServer, causal: bool):
    async with connected(mariadb.dsn("plain")) as conn:
        assert await driver.probe(conn, causal=causal) == Observation(Role.PRIMARY, lag=0.0, lag_bytes=0)


async def test_a_plain_read_only_server_is_a_standby_with_its_lag_where_we_may_know_it(mariadb: PlainServer):
    mariadb.sql("SET GLOBAL read_only=1")
    try:
        async with connected(mariadb.dsn("app")) as conn:
            assert await driver.probe(conn, causal=False) == Observation(Role.STANDBY, lag=0.0)
            mariadb.sql("CHANGE MASTER TO master_host='127.0.0.1', master_port=9, master_user='nobody'")
            assert await driver.probe(conn, causal=False) == Observation(Role.STANDBY, lag=None)
        async with connected(mariadb.dsn("plain")) as conn:
            assert await driver.probe(conn, causal=False) == Observation(Role.STANDBY, lag=None)
    finally:
        mariadb.sql("SET GLOBAL read_only=0")


@pytest.mark.every_loop
@pytest.mark.parametrize("tls", ["disable", "require"])
async def test_silence_grows_until_the_server_answers(mariadb: PlainServer, tls: str):
    async with connected(f"{mariadb.dsn('app')}?sslmode={tls}") as conn:
        async with asyncio.timeout(10):
            while (silence := driver.last_received(conn)) is not None and silence < 0.2:
                await asyncio.sleep(0.01)
        assert silence is not None
        await driver.ping(conn)
        after = driver.last_received(conn)
        assert after is not None
        assert after < silence
    assert driver.last_received(conn) is None


async def test_of_a_unix_socket_nobody_knows_when_it_last_spoke(mariadb: PlainServer):
    async with connected(f"mysql://root@localhost/test?unix_socket={mariadb.socket_path}") as conn:
        assert driver.last_received(conn) is None
