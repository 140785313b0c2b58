"""`aioclustersql check` on real servers: a good cluster passes, and each trouble is found, named and said what to do about."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aioclustersql.demo.postgres import PostgresCluster
from tests.servers.fixtures_galera import _turn
from tests.servers.galera import GaleraCluster, GaleraNode

pytestmark = pytest.mark.integration

_CHECK = [sys.executable, "-W", "error", "-m", "aioclustersql.cli", "check"]
_TIMEOUT = 2.0
_PORTS = (3351, 3352, 3353)

Write = Callable[..., Path]


@pytest.fixture
def config(tmp_path: Path) -> Write:
    """Write a config.toml with the nodes of these names and URLs."""

    def write(nodes: Mapping[str, str], more: str = "") -> Path:
        path = tmp_path / "config.toml"
        lines = [f"[cluster]\nconnect_timeout = {_TIMEOUT}\n{more}\n"]
        lines += [f'[[nodes]]\nname = "{name}"\ndsn = "{dsn}"\n' for name, dsn in nodes.items()]
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.fixture(scope="module")
def strangers() -> Iterator[dict[str, GaleraNode]]:
    """Three servers that know nothing of each other, each in a cluster of its own, as after three bootstraps."""
    with ExitStack() as stack:
        stack.enter_context(_turn("strangers"))
        yield {f"db{port}": stack.enter_context(GaleraCluster((port,))).nodes[0] for port in _PORTS}


def check(path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and what it says in JSON; nothing goes to standard error, and it keeps its time."""
    done = subprocess.run([*_CHECK, str(path), "--json", *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["seconds"] < _TIMEOUT + 1
    assert "hunter2" not in done.stdout
    return done.returncode, said


def found(said: Mapping[str, Any], severity: str = "error") -> set[tuple[str, str | None]]:
    """The codes of that severity and their nodes."""
    return {(each["code"], each["node"]) for each in said["findings"] if each["severity"] == severity}


def tables_left(node: GaleraNode) -> tuple[tuple[str, ...], ...]:
    return node.sql("SHOW TABLES FROM test LIKE 'aioclustersql%'")


def test_a_good_galera_passes_and_its_settings_are_warned_of(galera: GaleraCluster, config: Write) -> None:
    for node in galera.nodes:
        node.sql("SET GLOBAL wait_timeout = 300")
    code, said = check(config({node.name: node.dsn() for node in galera.nodes}))
    assert (code, found(said)) == (0, set())
    names = [node.name for node in galera.nodes]
    assert found(said, "warning") == {(each, name) for each in ("host-blocking", "idle-timeout") for name in names}
    assert [(node["role"], node["ready"], node["tls"]) for node in said["nodes"]] == [("peer", True, None)] * 3
    assert [node for node in galera.nodes if tables_left(node)] == []


def test_every_trouble_of_a_galera_is_found_and_named(galera: GaleraCluster, config: Write) -> None:
    first, second, third = galera.nodes
    third.isolate()
    nodes = {
        "good": first.dsn(),
        "forgetful": second.dsn().replace("root@", "root:hunter2@"),
        "lonely": third.dsn(),
        "nobody": "mysql://root@127.0.0.1:1/test",
    }
    code, said = check(config(nodes), "--processes", "40")
    assert code == 1
    assert found(said) == {
        ("login-refused", "forgetful"),
        ("not-ready", "lonely"),
        ("unreachable", "nobody"),
        ("max-connections", "good"),
        ("max-connections", "lonely"),
    }
    assert [node["name"] for node in said["nodes"] if node["version"]] == ["good", "lonely"]


def test_a_frozen_node_costs_the_timeout_once(postgres: PostgresCluster, config: Write) -> None:
    frozen = postgres.standbys[0]
    frozen.freeze()
    code, said = check(config({node.name: node.dsn() for node in postgres.nodes}))
    assert (code, found(said)) == (1, {("silent", frozen.name)})
    assert said["seconds"] >= _TIMEOUT


def test_a_primary_with_standbys_passes_in_a_table_for_people(postgres: PostgresCluster, config: Write) -> None:
    path = config({node.name: node.dsn() for node in postgres.nodes})
    done = subprocess.run([*_CHECK, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split("|")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("| pg")}
    assert sorted(rows) == ["pg1", "pg2", "pg3"]
    assert "primary" in rows[postgres.primary.name]
    assert done.stdout.splitlines()[-1] == "all is well"
    assert postgres.primary.sql("select count(*) from pg_tables where tablename like 'aioclustersql%'")[0][0] == "0"


def test_nothing_is_written_where_it_must_not(postgres: PostgresCluster, config: Write) -> None:
    before = postgres.primary.sql("select xact_commit from pg_stat_database where datname = 'postgres'")
    code, said = check(config({node.name: node.dsn() for node in postgres.nodes}), "--no-write")
    assert (code, found(said, "note")) == (0, {("not-written", None)})
    assert before


def test_three_clusters_of_one_node_are_no_cluster(strangers: Mapping[str, GaleraNode], config: Write) -> None:
    code, said = check(config({name: node.dsn() for name, node in strangers.items()}))
    assert code == 1
    assert {("not-replicated", name) for name in strangers} <= found(said)
    assert [tables_left(node) for node in strangers.values()] == [(), (), ()]


def test_three_servers_without_replication_are_no_cluster(strangers: Mapping[str, GaleraNode], config: Write) -> None:
    for node in strangers.values():
        node.sql("SET GLOBAL wsrep_on = OFF")
    code, said = check(config({name: node.dsn() for name, node in strangers.items()}))
    for node in strangers.values():
        node.sql("SET GLOBAL wsrep_on = ON")
    assert code == 1
    assert found(said) == {("several-primaries", None), *(("not-replicated", name) for name in strangers)}
    assert [tables_left(node) for node in strangers.values()] == [(), (), ()]


def test_ctrl_c_in_mid_work_leaves_no_table_behind(strangers: Mapping[str, GaleraNode], config: Write) -> None:
    for node in strangers.values():
        node.sql("SET GLOBAL wsrep_on = OFF")  # then it waits for rows until the time is over
    path = config({name: node.dsn() for name, node in strangers.items()})
    first = next(iter(strangers.values()))
    with subprocess.Popen([*_CHECK, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not any(name.endswith("_rows") for (name,) in tables_left(first)):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    for node in strangers.values():
        node.sql("SET GLOBAL wsrep_on = ON")
    assert (process.returncode, out, err) == (130, "", "")
    assert [tables_left(node) for node in strangers.values()] == [(), (), ()]
