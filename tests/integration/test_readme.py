"""The README's code is run as it is printed, on real servers, and its output compared with the one that is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.snippets import ROOT, Hosts, blocks, on, program, run, shown

pytestmark = pytest.mark.integration

README = ROOT / "README.md"


def test_the_first_example_prints_what_is_shown(db_hosts: Hosts) -> None:
    example = blocks(README, "python")[0]
    assert len(example.splitlines()) <= 12
    assert shown(db_hosts, 5432, run(on(db_hosts, example))) == blocks(README, "")[0]


def test_nodes_are_named_and_changed_as_it_says() -> None:
    code = f"from aioclustersql import Cluster\n{blocks(README, 'python')[1]}\nprint(*cluster.nodes, reader.target)"
    assert run(code) == "right spare prefer-standby\n"


def test_pools_take_their_connections_from_the_cluster(db_hosts: Hosts) -> None:
    after = """
        print(await pool.fetchval("SELECT 'asyncpg'"))
        await pool.close()
        async with engine.connect() as conn:
            print((await conn.execute(text("SELECT 'SQLAlchemy'"))).scalar())
        await engine.dispose()
    """
    code = program(blocks(README, "python")[2], after, cluster="postgresql://app@db1,db2,db3/shop")
    assert run(on(db_hosts, code)) == "asyncpg\nSQLAlchemy\n"


def test_no_code_is_left_untested() -> None:
    assert len(blocks(README, "python")) == 3
    assert len(blocks(README, "toml")) == 1


def test_the_acceptance_test_runs_on_the_file_that_is_shown(maria_hosts: Hosts, tmp_path: Path) -> None:
    (config,) = blocks(README, "toml")
    (tmp_path / "my.toml").write_text(on(maria_hosts, config))
    (command,) = re.findall(r"DBCONFIG=my\.toml \.venv/bin/python ([^`]*)`", README.read_text())
    arguments: Sequence[str] = [*command.split(), "-q", "-p", "no:cacheprovider"]
    environment = {"DBCONFIG": str(tmp_path / "my.toml"), "DB_PASSWORD": "pw", "ACCEPTANCE_CONNECTIONS": "20"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
