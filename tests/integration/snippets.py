"""The code that the README and the pages of docs/ print, and how it is run as it is printed, on real servers.

Only host names are changed: `on` puts a server's address in the place of each name, and `shown` puts the names back.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from aioclustersql.demo.postgres import PostgresCluster
from tests.servers.galera import GaleraCluster

__all__ = ["ROOT", "Hosts", "blocks", "db_hosts", "maria_hosts", "on", "program", "run", "shown"]

ROOT = Path(__file__).parents[2]

Hosts = Mapping[str, str]
"""The names of hosts, as pages have them, and the addresses of servers."""

_IMPORTS = """
import asyncio, logging, uuid
import asyncpg
from sqlalchemy import text
from aioclustersql import Cluster
"""
_TABLES = """
create table visits (page text);
create table stock (article text primary key, pieces int);
insert into stock values ('apples', 42);
create table accounts (name text primary key, balance int);
insert into accounts values ('ann', 100), ('bob', 0);
create table orders (number uuid primary key, article text);
"""


def blocks(page: Path, language: str) -> list[str]:
    """A page's blocks of that language, in their order; "" for those without one."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [text for marked, text in found if marked == language]


def on(hosts: Hosts, text: str) -> str:
    """`text` with the addresses of servers for the names of hosts."""
    return re.sub(rf"\b({'|'.join(hosts)})\b", lambda match: hosts[match[1]], text)


def shown(hosts: Hosts, port: int, text: str) -> str:
    """`text` with the names of hosts, and their usual port, for the addresses of servers."""
    for name, address in hosts.items():
        text = text.replace(address, f"{name}:{port}")
    return text


def program(*parts: str, cluster: str | None = None) -> str:
    """A program of code that awaits outside of a function, as in `python -m asyncio`. `cluster`: the URL of one that is open."""
    body = "\n".join(map(textwrap.dedent, parts))
    if cluster is not None:
        body = f'async with Cluster("{cluster}") as cluster:\n{textwrap.indent(body, "    ")}'
    return f"{_IMPORTS}async def main():\n{textwrap.indent(body, '    ')}\nasyncio.run(main())"


def run(code: str) -> str:
    """What a program prints; it must end well, without a warning."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.fixture
def db_hosts(postgres: PostgresCluster) -> Iterator[Hosts]:
    """db1, the primary, and db2 and db3; with the database, the tables and the user that the pages take for granted."""
    primary = postgres.primary
    primary.sql("create role app login")
    primary.sql("create database shop owner app")
    primary.sql(f"set role app; {_TABLES}", database="shop")
    postgres.wait_replayed()
    yield {f"db{number}": f"{node.host}:{node.port}" for number, node in enumerate((primary, *postgres.standbys), 1)}
    primary.sql("drop database shop with (force)")
    primary.sql("drop role app")


@pytest.fixture
def maria_hosts(galera: GaleraCluster) -> Hosts:
    """maria1, maria2 and maria3, with the database and a table."""
    first = galera.nodes[0]
    first.sql("CREATE DATABASE IF NOT EXISTS shop")
    first.sql("CREATE OR REPLACE TABLE shop.visits (id INT PRIMARY KEY AUTO_INCREMENT, page VARCHAR(20))")
    return {f"maria{number}": f"{node.host}:{node.port}" for number, node in enumerate(galera.nodes, 1)}
