"""The acceptance tests, run as users run them on their own clusters: they pass on PostgreSQL, and fail on what is no cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from aioclustersql.demo.postgres import PostgresCluster
from tests.servers.fixtures_galera import _turn
from tests.servers.galera import GaleraCluster, GaleraNode

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PORTS = (3351, 3352, 3353)

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the acceptance tests on the nodes of these names and URLs, with further options of pytest."""

    def run(nodes: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
        config = tmp_path / "my.toml"
        config.write_text("".join(f'[[nodes]]\nname = "{name}"\ndsn = "{dsn}"\n' for name, dsn in nodes.items()))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "tests/acceptance"],
            cwd=ROOT,
            env={**os.environ, "DBCONFIG": str(config), "ACCEPTANCE_SECONDS": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def strangers() -> Iterator[dict[str, GaleraNode]]:
    """Three servers that know nothing of each other, each in a cluster of its own, as after three bootstraps."""
    with ExitStack() as stack:
        stack.enter_context(_turn("strangers"))
        yield {f"db{port}": stack.enter_context(GaleraCluster((port,))).nodes[0] for port in PORTS}


def tables_left(node: GaleraNode) -> tuple[tuple[str, ...], ...]:
    return node.sql("SHOW TABLES FROM test LIKE 'aioclustersql%'")


def missing(output: str) -> set[tuple[str, str]]:
    """Pairs of the node where a row is missing, and the one it was written through."""
    words = [line.replace(":", "").split() for line in output.splitlines() if line.startswith("node db")]
    return {(each[1], each[each.index("through") + 1]) for each in words}


PAIRS = {(f"db{node}", f"db{writer}") for node in PORTS for writer in PORTS if node != writer}


def test_it_passes_on_a_primary_with_standbys(run: Run, postgres: PostgresCluster) -> None:
    done = run({node.name: node.dsn() for node in (postgres.primary, *postgres.standbys)})
    assert done.returncode == 0, done.stdout
    assert "11 passed" in done.stdout


def test_a_full_node_is_masked_by_the_others(run: Run, strangers: Mapping[str, GaleraNode]) -> None:
    first = next(iter(strangers.values()))
    first.sql("SET GLOBAL max_connections = 20")
    done = run({name: node.dsn("app") for name, node in strangers.items()}, "-rP", "-k", "concurrent")
    first.sql("SET GLOBAL max_connections = 151")
    assert done.returncode == 0, done.stdout
    reached = re.search(r"^141 connections at once: db3351 (\d+) ", done.stdout, re.MULTILINE)
    assert reached is not None, done.stdout
    assert 0 < int(reached[1]) <= 21  # the server keeps one more for an administrator, who `app` is


def test_three_clusters_of_one_node_fail_it_and_every_missing_row_is_named(run: Run, strangers: Mapping[str, GaleraNode]) -> None:
    done = run({name: node.dsn() for name, node in strangers.items()})
    assert done.returncode == 1
    assert "1 failed, 10 passed" in done.stdout
    assert "node db3352: the row 1 that was written through db3351 is missing (by a causal read)" in done.stdout
    assert missing(done.stdout) == PAIRS


def test_three_servers_without_replication_fail_it_and_every_missing_row_is_named(
    run: Run, strangers: Mapping[str, GaleraNode]
) -> None:
    for node in strangers.values():
        node.sql("SET GLOBAL wsrep_on = OFF")
    done = run({name: node.dsn() for name, node in strangers.items()})
    assert done.returncode == 1
    assert "1 failed, 10 passed" in done.stdout
    assert "node db3352: the row 1 that was written through db3351 is missing (after 1 s)" in done.stdout
    assert missing(done.stdout) == PAIRS


def test_it_leaves_no_table_behind_when_it_fails(run: Run, strangers: Mapping[str, GaleraNode]) -> None:
    done = run({name: node.dsn() for name, node in strangers.items()})
    assert "1 failed, 10 passed" in done.stdout
    assert [tables_left(node) for node in strangers.values()] == [(), (), ()]
