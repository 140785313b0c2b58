"""The Galera servers and the certificates do what the other tests rely on."""

import asyncio
import contextlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pymysql
import pytest

from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster, GaleraNode, PortInUse

pytestmark = pytest.mark.integration


CRASH = """
import os, signal, subprocess
from tests.servers.workspace import workspace

server = subprocess.Popen(["sleep", "1000"], process_group=workspace().process_group, stdout=subprocess.DEVNULL)
server.send_signal(signal.SIGSTOP)
print(server.pid, workspace().folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def connect(node: GaleraNode, **options: Any) -> Any:
    """A client's connection, as opposed to `node.sql`; without `ssl` none is prepared, which takes 30 ms."""
    pymysql_connect: Any = pymysql.connect
    wanted = {"host": node.host, "port": node.port, "user": "root", "database": "test", "ssl_disabled": "ssl" not in options}
    return pymysql_connect(**{**wanted, **options})


def all_synced(cluster: GaleraCluster) -> bool:
    return all(node.is_synced(3) for node in cluster.nodes)


def test_three_nodes_are_synced_and_replicate(galera: GaleraCluster):
    assert [(node.name, node.port) for node in galera.nodes] == [("node1", 3301), ("node2", 3302), ("node3", 3303)]
    assert all_synced(galera)
    first, _, last = galera.nodes
    first.sql("CREATE OR REPLACE TABLE test.replicates (id INT PRIMARY KEY)")
    first.sql("INSERT INTO test.replicates VALUES (7)")
    assert last.sql("SET STATEMENT wsrep_sync_wait=1 FOR SELECT id FROM test.replicates") == ((7,),)


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize(("user", "password"), [("root", ""), ("app", "pw")])
def test_privileged_users_write_on_a_read_only_node(galera: GaleraCluster, source, user, password):
    node = galera.nodes[0]
    assert node.dsn(user) == f"mysql://{user}{':pw' if password else ''}@127.0.0.1:3301/test"
    node.sql("CREATE TABLE IF NOT EXISTS test.rights (id INT PRIMARY KEY)")
    node.sql("SET GLOBAL read_only=1")
    with connect(node, user=user, password=password, bind_address=source, autocommit=True) as connection:
        assert connection.query("REPLACE INTO rights VALUES (1)")


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_plain_user_only_reads_on_a_read_only_node(galera: GaleraCluster, source):
    node = galera.nodes[0]
    node.sql("CREATE TABLE IF NOT EXISTS test.rights (id INT PRIMARY KEY)")
    node.sql("SET GLOBAL read_only=1")
    with connect(node, user="plain", password="pw", bind_address=source, autocommit=True) as connection:
        connection.query("SELECT * FROM rights")
        with pytest.raises(pymysql.err.OperationalError) as caught:
            connection.query("REPLACE INTO rights VALUES (1)")
    assert caught.value.args[0] == 1290


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


def test_node_restarted_from_a_thread_outlives_it(galera: GaleraCluster):
    node = galera.nodes[1]
    node.terminate()
    restarting = threading.Thread(target=node.restart)
    restarting.start()
    restarting.join()
    assert node.sql("SELECT 1") == ((1,),)


def test_cluster_without_majority_starts_afresh(galera: GaleraCluster):
    for node in galera.nodes[:2]:
        node.kill9()
    galera.heal()
    assert all_synced(galera)


def test_nodes_that_died_while_one_of_them_joined_are_started_again_with_what_they_have(galera: GaleraCluster):
    galera.nodes[0].sql("CREATE OR REPLACE TABLE test.restarted (id INT PRIMARY KEY)")
    galera.nodes[0].sql("INSERT INTO test.restarted VALUES (1)")
    assert all_synced(galera)
    time.sleep(1.1)  # a node writes its log to disk once a second
    for node in galera.nodes:
        node.kill9()
    (galera.nodes[1].data / "gvwstate.dat").unlink()
    galera.restart_all()
    assert [node.sql("SELECT * FROM test.restarted") for node in galera.nodes] == [((1,),)] * 3


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
    with connect(node) as connection:
        assert connection.query("SELECT 1") == 1
        with pytest.raises(pymysql.err.OperationalError) as caught:
            connection.query("SELECT * FROM isolated")
    assert caught.value.args[0] == 1047
    assert node.status("wsrep_ready", "wsrep_cluster_status") == {"wsrep_ready": "OFF", "wsrep_cluster_status": "non-Primary"}
    node.rejoin()
    assert node.sql("SELECT count(*) FROM test.isolated") == ((0,),)


def test_isolated_node_is_healed(galera: GaleraCluster):
    galera.nodes[2].isolate()
    galera.heal()
    assert all_synced(galera)


def test_heal_restores_settings_and_cuts_clients_off(galera: GaleraCluster):
    node = galera.nodes[0]
    with contextlib.closing(connect(node)) as connection:
        for setting in ("read_only=1", "max_connections=12", "wsrep_reject_queries=ALL", "wsrep_desync=1"):
            node.sql(f"SET GLOBAL {setting}")
        galera.heal()
        assert node.sql(
            "SELECT @@global.read_only, @@global.max_connections, @@global.wsrep_reject_queries, @@global.wsrep_desync"
        ) == ((0, 151, "NONE", 0),)
        with pytest.raises(pymysql.err.OperationalError):
            connection.ping(reconnect=False)


def test_heal_lifts_the_block_of_a_host(galera: GaleraCluster):
    node = galera.nodes[0]
    node.sql("SET GLOBAL max_connect_errors=1")
    for _ in range(2):
        with socket.create_connection((node.host, node.port), source_address=("127.0.0.2", 0)) as greeted:
            greeted.recv(1)
    with pytest.raises(pymysql.err.OperationalError) as caught:
        for _ in range(100):  # the server counts a broken handshake some time after it broke
            connect(node, bind_address="127.0.0.2").close()
    assert caught.value.args[0] == 1129
    galera.heal()
    connect(node, bind_address="127.0.0.2").close()


def test_root_gets_in_when_clients_use_all_connections(galera: GaleraCluster):
    node = galera.nodes[0]
    node.sql("SET GLOBAL max_connections=10")
    with contextlib.ExitStack() as stack:
        with pytest.raises(pymysql.err.OperationalError) as caught:
            for _ in range(12):
                stack.enter_context(connect(node))
        assert caught.value.args[0] == 1040
        assert node.status("Threads_connected")["Threads_connected"] >= 10


def test_crashed_run_leaves_no_frozen_server_and_no_folder():
    crash = subprocess.run(
        [sys.executable, "-c", CRASH], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    assert crash.returncode == -signal.SIGKILL, crash.stderr
    pid, folder = crash.stdout.split()
    deadline = time.monotonic() + 5
    while Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(folder).exists()
    assert not Path(f"/proc/{pid}/cmdline").exists() or Path(f"/proc/{pid}/cmdline").read_bytes() == b""  # a zombie has none


def test_port_in_use_is_named(galera_turn):
    with socket.create_server(("127.0.0.1", 3391)), pytest.raises(PortInUse, match=r"needs port 3391 of 127\.0\.0\.1"):
        GaleraCluster(ports=(3391, 3392, 3393)).start()


async def test_certificate_is_for_localhost(galera_turn, proxy: MakeProxy):
    with GaleraCluster(ports=(3651,), tls=True) as cluster:
        (node,) = cluster.nodes
        trust = ssl.create_default_context(cafile=cluster.tls_ca)
        connect(node, host="localhost", ssl=trust).close()
        elsewhere = await proxy(node, host="127.0.0.2")
        with pytest.raises(pymysql.err.OperationalError, match="IP address mismatch"):
            await asyncio.to_thread(connect, node, host="127.0.0.2", port=elsewhere.port, ssl=trust)
