"""The PostgreSQL servers of the tests and of the demo keep their own promises."""

import asyncio
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

import asyncpg
import pytest

from aioclustersql.demo import binaries, processes
from aioclustersql.demo.postgres import PostgresCluster, PostgresNode, ServerError, ServerTls
from tests.servers.certificates import make_certificates

pytestmark = pytest.mark.integration

_CRASH = """
import os, signal
from aioclustersql.demo.postgres import PostgresCluster
cluster = PostgresCluster()
cluster.start()
cluster.standbys[0].freeze()
print(cluster.guard.pid, cluster.folder, *(node.pid for node in cluster.nodes), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _installations() -> list[object]:
    """One parameter for each PostgreSQL found here, so that a missing one is no skipped test."""
    return [
        pytest.param(folder, id=f"{binaries.version(folder)}-{number}") for number, folder in enumerate(binaries.known_programs())
    ]


def _segments(pids: Collection[int]) -> list[str]:
    """The System V shared memory that these processes made; others may start servers meanwhile."""
    rows = (line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:])
    return [segment for _, segment, _, _, creator, *_ in rows if int(creator) in pids]


def _in_recovery(node: PostgresNode) -> bool:
    return node.value("select pg_is_in_recovery()") == "t"


async def _fetch(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=5)
    try:
        return await connection.fetchval(query, timeout=5)
    finally:
        connection.terminate()


def test_one_node_is_the_primary_and_the_others_are_standbys(postgres: PostgresCluster) -> None:
    assert [_in_recovery(node) for node in postgres.nodes] == [False, True, True]
    assert postgres.primary is postgres.nodes[0]
    assert postgres.standbys == postgres.nodes[1:]
    assert all(node.port < 32768 for node in postgres.nodes)


def test_what_the_primary_commits_reaches_both_standbys(postgres: PostgresCluster) -> None:
    postgres.primary.sql("create table replicated as select 42 as answer")
    postgres.wait_replayed()
    assert [node.value("select answer from replicated") for node in postgres.standbys] == ["42", "42"]
    postgres.primary.sql("drop table replicated")


async def test_asyncpg_logs_in_on_every_node(postgres: PostgresCluster) -> None:
    assert [await _fetch(node.dsn(), "select 1") for node in postgres.nodes] == [1, 1, 1]


def test_rows_come_as_text_with_line_breaks_and_nulls(postgres: PostgresCluster) -> None:
    assert postgres.primary.sql("select 1, null, E'a\\nb' union all select 2, 'x', '\"'") == [("1", "", "a\nb"), ("2", "x", '"')]


def test_a_refused_statement_says_why(postgres: PostgresCluster) -> None:
    with pytest.raises(ServerError, match="read-only transaction"):
        postgres.standbys[0].sql("create table forbidden ()")


def test_a_promoted_standby_is_followed_by_the_other(postgres: PostgresCluster) -> None:
    first, second, third = postgres.nodes
    first.kill9()
    second.promote()
    assert postgres.primary is second
    second.sql("create table after_promotion as select 1 as i")
    postgres.wait_streaming()
    postgres.wait_replayed()
    assert third.value("select i from after_promotion") == "1"


def test_an_old_primary_rejoins_as_a_standby(postgres: PostgresCluster) -> None:
    first, second, _ = postgres.nodes
    second.promote()
    assert postgres.primary is second  # the old one still takes writes too
    first.rejoin(second)
    second.sql("create table after_rejoin as select 1 as i")
    postgres.wait_streaming()
    postgres.wait_replayed()
    assert _in_recovery(first)
    assert first.value("select i from after_rejoin") == "1"


def test_heal_makes_the_first_node_the_primary_again(postgres: PostgresCluster) -> None:
    postgres.nodes[2].promote()
    postgres.nodes[1].kill9()
    postgres.heal()
    assert [_in_recovery(node) for node in postgres.nodes] == [False, True, True]
    assert all(node.promotions == 0 for node in postgres.nodes)


def test_a_frozen_node_is_silent_until_it_is_thawed(postgres: PostgresCluster) -> None:
    node = postgres.standbys[0]
    node.freeze()
    with pytest.raises(ServerError, match="did not answer within"):
        node.sql("select 1", timeout=0.25)
    node.thaw()
    assert node.value("select 1") == "1"


def test_a_killed_node_comes_back_and_streams_again(postgres: PostgresCluster) -> None:
    for node in postgres.nodes:
        before = node.pid
        node.kill9()
        with pytest.raises(ServerError):
            node.sql("select 1")
        postgres.heal()
        assert node.pid != before
    assert [_in_recovery(node) for node in postgres.nodes] == [False, True, True]


def test_heal_undoes_settings(postgres: PostgresCluster) -> None:
    node = postgres.standbys[1]
    node.set(work_mem="7MB")
    assert node.value("show work_mem") == "7MB"
    postgres.heal()
    assert node.value("show work_mem") == "4MB"


def test_heal_costs_nothing_when_nothing_is_wrong(postgres: PostgresCluster) -> None:
    before = [node.pid for node in postgres.nodes]
    start = time.perf_counter()
    postgres.heal()
    assert time.perf_counter() - start < 0.25
    assert [node.pid for node in postgres.nodes] == before


async def test_servers_started_in_a_thread_outlive_it(postgres: PostgresCluster) -> None:
    node = postgres.standbys[0]
    await asyncio.to_thread(node.kill9)
    await asyncio.to_thread(postgres.heal)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert await _fetch(node.dsn(), "select 1") == 1


def test_a_port_in_use_is_named() -> None:
    with PostgresCluster(standbys=0) as one:
        port = one.primary.port
        with pytest.raises(ServerError, match=f"port {port} of 127.0.0.1 is in use"):
            PostgresCluster(standbys=0, ports=[port]).start()


def test_nothing_is_left_behind() -> None:
    cluster = PostgresCluster()
    cluster.start()
    folder, guard = cluster.folder, cluster.guard.pid
    pids = [pid for node in cluster.nodes for pid in (node.pid, *processes.children(node.pid))]
    assert len(pids) > 10
    assert len(_segments(pids)) == 3
    cluster.nodes[1].freeze()
    cluster.nodes[2].kill9()
    cluster.stop()
    cluster.stop()
    assert not folder.exists()
    assert not [pid for pid in (*pids, guard) if processes.is_running(pid)]
    assert _segments(pids) == []


def test_a_server_that_does_not_start_says_why_and_leaves_nothing() -> None:
    cluster = PostgresCluster(standbys=1, settings={"no_such_setting": "1"})
    with pytest.raises(ServerError, match='unrecognized configuration parameter "no_such_setting"'):
        cluster.start()
    assert not cluster.folder.exists()


def test_nothing_survives_a_crash_of_ours() -> None:
    crash = subprocess.run([sys.executable, "-c", _CRASH], stdout=subprocess.PIPE, text=True, check=False)
    guard, folder, *servers = crash.stdout.split()
    deadline = time.monotonic() + 10
    while processes.is_running(int(guard)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not [pid for pid in servers if processes.is_running(int(pid))]
    assert not Path(folder).exists()
    assert _segments([int(pid) for pid in servers]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")
def test_programs_that_nobody_can_enter_are_copied(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    source = binaries.find_programs()
    programs = binaries.copy_programs(source, tmp_path)
    with PostgresCluster(standbys=0, binaries=programs) as cluster:
        assert cluster.programs != programs
        assert cluster.primary.value("select 1") == "1"
        copied = cluster.programs
    assert not copied.exists()


@pytest.mark.parametrize("programs", _installations())
async def test_every_installation_found_serves_passwords_tls_and_sockets(programs: Path, tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    tls = ServerTls(files.cert, files.key) if binaries.speaks_tls(programs) else None
    secret = "it's a \\ secret@"
    with PostgresCluster(1, binaries=programs, auth="scram-sha-256", password=secret, tls=tls, unix_sockets=True) as cluster:
        for node in cluster.nodes:
            assert node.value("show server_version").startswith(f"{binaries.version(programs)}.")
            context = ssl.create_default_context(cafile=str(files.ca)) if tls else False
            connection = await asyncpg.connect(node.dsn(), ssl=context)
            assert await connection.fetchval("select 1") == 1
            await connection.close()
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(node.dsn(password="wrong"))
            connection = await asyncpg.connect(
                host=str(cluster.socket_folder), port=node.port, user="postgres", password=secret, database="postgres"
            )
            assert await connection.fetchval("select 1") == 1
            await connection.close()
        cluster.standbys[0].promote()
        cluster.nodes[0].rejoin(cluster.primary)
        cluster.wait_streaming()
