"""The Galera servers and the proxy do what the other tests rely on."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator

import pymysql
import pytest

from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster, GaleraNode, PortInUse
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.integration


def all_synced(cluster: GaleraCluster) -> bool:
    return all(node.is_synced(3) for node in cluster.nodes)


def connect(node: GaleraNode, **options):
    return pymysql.connect(host=node.host, port=node.port, user="root", database="test", **options)


# Galera


def test_three_nodes_are_synced_and_replicate(galera: GaleraCluster):
    assert [(node.name, node.port) for node in galera.nodes] == [("node1", 3301), ("node2", 3302), ("node3", 3303)]
    assert all_synced(galera)
    first, _, last = galera.nodes
    first.sql("CREATE OR REPLACE TABLE test.replicates (id INT PRIMARY KEY)")
    first.sql("INSERT INTO test.replicates VALUES (7)")
    assert last.sql("SET STATEMENT wsrep_sync_wait=1 FOR SELECT id FROM test.replicates") == ((7,),)


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize(
    ("user", "password", "read_only_stops_it"), [("root", "", False), ("app", "pw", False), ("plain", "pw", True)]
)
def test_users_may_log_in_from_two_addresses(galera: GaleraCluster, source, user, password, read_only_stops_it):
    node = galera.nodes[0]
    assert node.dsn(user) == f"mysql://{user}{':pw' if password else ''}@127.0.0.1:3301/test"
    node.sql("CREATE TABLE IF NOT EXISTS test.rights (id INT PRIMARY KEY)")
    node.sql("SET GLOBAL read_only=1")
    connection = pymysql.connect(
        host=node.host, port=node.port, user=user, password=password, database="test", bind_address=source, autocommit=True
    )
    with connection, connection.cursor() as cursor:
        if read_only_stops_it:
            with pytest.raises(pymysql.err.OperationalError) as caught:
                cursor.execute("REPLACE INTO rights VALUES (1)")
            assert caught.value.args[0] == 1290
        else:
            assert cursor.execute("REPLACE INTO rights VALUES (1)") == 1


def test_killed_node_comes_back(galera: GaleraCluster):
    node = galera.nodes[1]
    node.kill9()
    assert not node.is_alive
    with pytest.raises(pymysql.err.OperationalError) as caught:
        connect(node)
    assert caught.value.args[0] == 2003
    galera.heal()
    assert all_synced(galera)


def test_terminated_node_restarts_with_what_it_missed(galera: GaleraCluster):
    first, second, _ = galera.nodes
    first.sql("CREATE OR REPLACE TABLE test.missed (id INT PRIMARY KEY)")
    second.terminate()
    first.sql("INSERT INTO test.missed VALUES (1)")
    second.restart()
    assert second.sql("SELECT id FROM test.missed") == ((1,),)


def test_cluster_without_majority_starts_afresh(galera: GaleraCluster):
    for node in galera.nodes[:2]:
        node.kill9()
    galera.heal()
    assert all_synced(galera)


def test_frozen_node_accepts_and_says_nothing(galera: GaleraCluster):
    node = galera.nodes[2]
    node.freeze()
    with socket.create_connection((node.host, node.port), timeout=0.2) as connection, pytest.raises(TimeoutError):
        connection.recv(1)
    node.thaw()
    galera.heal()
    assert all_synced(galera)


def test_isolated_node_refuses_tables_and_answers_the_rest(galera: GaleraCluster):
    node = galera.nodes[0]
    node.sql("CREATE TABLE IF NOT EXISTS test.isolated (id INT PRIMARY KEY)")
    node.isolate()
    with connect(node) as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT 1") == 1
        with pytest.raises(pymysql.err.OperationalError) as caught:
            cursor.execute("SELECT * FROM isolated")
        assert caught.value.args[0] == 1047
    assert node.status("wsrep_ready", "wsrep_cluster_status") == {"wsrep_ready": "OFF", "wsrep_cluster_status": "non-Primary"}
    node.rejoin()
    assert node.sql("SELECT count(*) FROM test.isolated") == ((0,),)


def test_heal_restores_settings_and_cuts_clients_off(galera: GaleraCluster):
    node = galera.nodes[0]
    with connect(node) as connection:
        for setting in ("read_only=1", "max_connections=12", "wsrep_reject_queries=ALL", "wsrep_desync=1"):
            node.sql(f"SET GLOBAL {setting}")
        galera.heal()
        assert node.sql(
            "SELECT @@global.read_only, @@global.max_connections, @@global.wsrep_reject_queries, @@global.wsrep_desync"
        ) == ((0, 151, "NONE", 0),)
        with pytest.raises(pymysql.err.OperationalError):
            connection.ping(reconnect=False)


def test_root_gets_in_when_clients_use_all_connections(galera: GaleraCluster):
    node = galera.nodes[0]
    node.sql("SET GLOBAL max_connections=10")
    with contextlib.ExitStack() as stack:
        with pytest.raises(pymysql.err.OperationalError) as caught:
            for _ in range(12):
                stack.enter_context(connect(node))
        assert caught.value.args[0] == 1040
        assert node.status("Threads_connected")["Threads_connected"] >= 10


def test_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 3391)), pytest.raises(PortInUse, match="needs port 3391 of 127.0.0.1"):
        GaleraCluster(ports=(3391, 3392, 3393)).start()


async def test_certificate_is_for_localhost(proxy: MakeProxy):
    with GaleraCluster(ports=(3371,), tls=True) as cluster:
        (node,) = cluster.nodes
        trust = ssl.create_default_context(cafile=cluster.tls_ca)
        with pymysql.connect(host="localhost", port=node.port, user="app", password="pw", ssl=trust) as connection:
            assert connection.get_server_info()
        elsewhere = await proxy(node, host="127.0.0.2")
        with pytest.raises(pymysql.err.OperationalError, match="IP address mismatch"):
            await asyncio.to_thread(
                pymysql.connect, host=elsewhere.host, port=elsewhere.port, user="app", password="pw", ssl=trust
            )
