"""The README's code is run as it is printed, on real servers, and its output compared with the one that is shown.

Only host names are changed: `on` puts a server's address in the place of each name, and `shown` puts the names back.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from aioclustersql.demo.postgres import PostgresCluster
from tests.servers.galera import GaleraCluster

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

Hosts = Mapping[str, str]


def blocks(language: str) -> list[str]:
    """The README's blocks of that language, in their order; "" for those without one."""
    return [text for marked, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE) if marked == language]


def on(hosts: Hosts, text: str) -> str:
    """`text` with the addresses of servers for the names of hosts."""
    return re.sub(rf"\b({'|'.join(hosts)})\b", lambda match: hosts[match[1]], text)


def shown(hosts: Hosts, port: int, text: str) -> str:
    """`text` with the names of hosts, and their usual port, for the addresses of servers."""
    for name, address in hosts.items():
        text = text.replace(address, f"{name}:{port}")
    return text


def run(program: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.fixture
def db_hosts(postgres: PostgresCluster) -> Iterator[Hosts]:
    """db1, the primary, and db2 and db3; with the database and the user that the README takes for granted."""
    primary = postgres.primary
    primary.sql("create role app login")
    primary.sql("create database shop owner app")
    postgres.wait_replayed()
    yield {f"db{number}": f"{node.host}:{node.port}" for number, node in enumerate((primary, *postgres.standbys), 1)}
    primary.sql("drop database shop with (force)")
    primary.sql("drop role app")


@pytest.fixture
def maria_hosts(galera: GaleraCluster) -> Hosts:
    galera.nodes[0].sql("CREATE DATABASE IF NOT EXISTS shop")
    return {f"maria{number}": f"{node.host}:{node.port}" for number, node in enumerate(galera.nodes, 1)}


def test_the_first_example_prints_what_is_shown(db_hosts: Hosts) -> None:
    example = blocks("python")[0]
    assert len(example.splitlines()) <= 12
    assert shown(db_hosts, 5432, run(on(db_hosts, example))) == blocks("")[0]


def test_nodes_are_named_and_changed_as_it_says() -> None:
    program = f"from aioclustersql import Cluster\n{blocks('python')[1]}\nprint(*cluster.nodes, reader.target)"
    assert run(program) == "right spare prefer-standby\n"


def test_pools_take_their_connections_from_the_cluster(db_hosts: Hosts) -> None:
    before = """
        cluster = Cluster("postgresql://app@db1,db2,db3/shop")
    """
    after = """
        print(await pool.fetchval("SELECT 'asyncpg'"))
        await pool.close()
        async with engine.connect() as conn:
            print((await conn.execute(text("SELECT 'SQLAlchemy'"))).scalar())
        await engine.dispose()
        await cluster.close()
    """
    assert run(on(db_hosts, _program(before, blocks("python")[2], after))) == "asyncpg\nSQLAlchemy\n"


def _program(*parts: str) -> str:
    """A program of code that awaits outside of a function, as in `python -m asyncio`."""
    imports = (
        "import asyncio, asyncpg",
        "from aioclustersql import Cluster",
        "from sqlalchemy import text",
        "from sqlalchemy.ext.asyncio import create_async_engine",
    )
    body = textwrap.indent("\n".join(map(textwrap.dedent, parts)), "    ")
    return "\n".join([*imports, f"async def main():\n{body}", "asyncio.run(main())"])


def test_no_code_is_left_untested() -> None:
    assert len(blocks("python")) == 3
    assert len(blocks("toml")) == 1


def test_the_acceptance_test_runs_on_the_file_that_is_shown(maria_hosts: Hosts, tmp_path: Path) -> None:
    (config,) = blocks("toml")
    (tmp_path / "my.toml").write_text(on(maria_hosts, config))
    (command,) = re.findall(r"^DBCONFIG=my\.toml \.venv/bin/python (.*)$", README, re.MULTILINE)
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
