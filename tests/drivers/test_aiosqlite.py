"""One SQLite file as a cluster of one node: what an application written for servers may rely on while it is developed."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, Cluster, ConfigError
from aioclustersql.drivers import for_url
from aioclustersql.drivers.aiosqlite import AiosqliteDriver
from aioclustersql.failure import FailureKind

DRIVER = AiosqliteDriver()


@pytest.mark.parametrize(
    ("dsn", "path"),
    [
        ("sqlite:///shop.db", "shop.db"),
        ("sqlite:////var/lib/shop.db", "/var/lib/shop.db"),
        ("sqlite+aiosqlite:///a%20b.db", "a b.db"),
    ],
)
def test_the_path_of_a_url_is_the_file(dsn: str, path: str) -> None:
    endpoint = for_url(dsn).parse(dsn, {})
    assert (endpoint.address, endpoint.arguments) == (path, {"database": path})


def test_options_are_typed_and_those_of_one_connect_go_over_the_nodes() -> None:
    endpoint = DRIVER.parse("sqlite:///shop.db?timeout=0.5&detect_types=1", {"isolation_level": None})
    assert endpoint.arguments == {"database": "shop.db", "timeout": 0.5, "detect_types": 1, "isolation_level": None}
    assert DRIVER.override(endpoint, {"timeout": 2}).arguments["timeout"] == 2


@pytest.mark.parametrize(
    ("dsn", "options", "part"),
    [
        ("sqlite://", {}, "names no file"),
        ("sqlite:///:memory:", {}, "every connection would see another database"),
        ("sqlite://host/shop.db", {}, "a file has no host"),
        ("sqlite://app:secret@/shop.db", {}, "a file has no host"),
        ("sqlite:///shop.db?timeuot=1", {}, "did you mean 'timeout'"),
        ("sqlite:///shop.db", {"timeout": "soon"}, "of type float"),
        ("sqlite:///shop.db", {"cached_statements": True}, "of type int"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(dsn: str, options: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=part) as caught:
        DRIVER.parse(dsn, options)
    assert "secret" not in str(caught.value)


def test_what_is_closed_and_what_is_not_sqlites() -> None:
    assert DRIVER.classify(ValueError("Connection closed")) is FailureKind.FOUND_CLOSED
    assert DRIVER.classify(ValueError("x")) is FailureKind.OTHER
    assert DRIVER.classify(sqlite3.ProgrammingError("Cannot operate on a closed database.")) is FailureKind.FOUND_CLOSED


@pytest.mark.real_time
async def test_every_target_but_a_standby_is_served(tmp_path: Path) -> None:
    cluster = Cluster(f"sqlite:///{tmp_path}/shop.db", driver="aiosqlite")
    assert cluster.nodes == ("localhost",)
    for target in ("any", "read-write", "prefer-standby"):
        async with cluster.connect(target=target) as conn:
            assert await (await conn.execute("SELECT 1")).fetchone() == (1,)
    with pytest.raises(AllNodesFailed, match="an SQLite file has no standby"):
        await cluster.connect(target="standby")
    await cluster.close()


@pytest.mark.real_time
async def test_a_unit_that_finds_the_file_busy_runs_again(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    busy = sqlite3.connect(path)
    busy.execute("CREATE TABLE stock (pieces INT)")
    busy.execute("BEGIN EXCLUSIVE")
    kinds: list[FailureKind] = []

    class Noting(AiosqliteDriver):
        def classify(self, exc: BaseException) -> FailureKind:
            busy.rollback()
            kinds.append(super().classify(exc))
            return kinds[-1]

    async def insert(conn: Any) -> None:
        await conn.execute("INSERT INTO stock VALUES (42)")

    async with Cluster(f"sqlite:///{path}?timeout=0.01", driver=Noting()) as cluster:
        await cluster.run(insert)
    assert busy.execute("SELECT * FROM stock").fetchall() == [(42,)]
    assert FailureKind.ROLLED_BACK in kinds
    busy.close()


@pytest.mark.real_time
async def test_a_busy_file_is_not_taken_for_a_silent_node(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    busy = sqlite3.connect(path)
    busy.execute("CREATE TABLE stock (pieces INT)")
    busy.execute("BEGIN EXCLUSIVE")
    async with Cluster(f"sqlite:///{path}", driver="aiosqlite", monitor_interval=0.05) as cluster:
        await cluster.wait_ready(timeout=2)
        async with cluster.connect() as conn:
            assert (await DRIVER.probe(conn, causal=False)).ready
        async with cluster.acquire() as conn:
            with pytest.raises(sqlite3.OperationalError, match="not known"):
                await DRIVER.reset(conn, None)
        assert cluster.is_ready()
    busy.close()


@pytest.mark.real_time
async def test_no_thread_is_left_by_any_end(tmp_path: Path) -> None:
    before = threading.active_count()
    endpoint = DRIVER.parse(f"sqlite:///{tmp_path}/shop.db", {})
    closed, cut = await DRIVER.connect(endpoint, None), await DRIVER.connect(endpoint, None)
    assert threading.active_count() == before + 2
    await DRIVER.close(closed)
    assert threading.active_count() == before + 1
    DRIVER.terminate(cut)
    await DRIVER.close(cut)  # waits for what terminate has begun
    assert threading.active_count() == before


@pytest.mark.real_time
async def test_a_reset_takes_away_what_a_session_has_attached_and_set(tmp_path: Path) -> None:
    conn = await DRIVER.connect(DRIVER.parse(f"sqlite:///{tmp_path}/shop.db", {}), None)
    await conn.execute(f"ATTACH '{tmp_path}/other.db' AS other")
    await conn.execute("CREATE TEMP VIEW mine AS SELECT 1")
    await conn.execute("PRAGMA query_only=1")
    conn.row_factory = sqlite3.Row
    await DRIVER.reset(conn, None)
    assert conn.row_factory is None
    assert [row[1] for row in await (await conn.execute("PRAGMA database_list")).fetchall()] in (["main"], ["main", "temp"])
    assert await (await conn.execute("PRAGMA query_only")).fetchone() == (0,)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await conn.execute("SELECT * FROM mine")
    await DRIVER.close(conn)
