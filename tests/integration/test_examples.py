"""The scripts of examples/ are run as they are written, in a process of its own each, on real servers, with warnings as errors.

The web services among them are met in test_services.py.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from aioclustersql.demo.postgres import PostgresCluster
from tests.integration.services import APPS, EXAMPLES, PYTHON, nodes_of
from tests.servers.galera import GaleraCluster

pytestmark = pytest.mark.integration


def run(name: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTHON, EXAMPLES / name, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def lines_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


def test_every_example_is_covered() -> None:
    examples = {path.stem for path in EXAMPLES.glob("*.py")}
    tests = [name for name in globals() if name.startswith("test_")]
    assert examples, "no example was found"
    assert {each for each in examples - {*APPS} if not any(name.startswith(f"test_{each}_") for name in tests)} == set()
    assert {*APPS} <= examples


# --- scripts --------------------------------------------------------------------------------------------------------------


def test_quickstart_asyncpg_writes_on_the_primary_and_reads_from_a_standby(postgres: PostgresCluster) -> None:
    kept, read, *learnt = lines_of(run("quickstart_asyncpg.py", NODES=nodes_of(postgres)))
    assert kept == f"127.0.0.1:{postgres.primary.port} keeps 7 pieces"
    assert read in [f"127.0.0.1:{node.port} is a standby" for node in postgres.standbys]
    assert len(learnt) == 3
    for line, node in zip(learnt, sorted(postgres.nodes, key=lambda node: str(node.port)), strict=True):
        role = "primary" if node is postgres.primary else "standby"
        assert re.fullmatch(rf"127\.0\.0\.1:{node.port}: up, (unknown|{role}), \d pooled connections", line)
    assert postgres.primary.value("select to_regclass('quickstart_basket') is null") == "t"


def test_quickstart_aiomysql_uses_every_node(galera: GaleraCluster) -> None:
    kept, visits = lines_of(run("quickstart_aiomysql.py", NODES=nodes_of(galera)))
    assert kept == "7 pieces are kept"
    counted = {node: int(count) for count, node in re.findall(r"(\d+) to ([\d.:]+)", visits)}
    assert sorted(counted) == [f"127.0.0.1:{node.port}" for node in galera.nodes]
    assert sum(counted.values()) == 30


def test_from_config_tells_what_every_login_does(galera: GaleraCluster) -> None:
    galera.nodes[0].kill9()
    done = run("from_config.py", EXAMPLES.parent / "config.toml")
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    for name in ("maria1", "maria2", "maria3"):
        assert f"{name}: logging in (all)" in lines
    assert any(line.startswith("maria1: OperationalError: (2003, ") for line in lines)
    assert "maria1: up -> down" in lines
    connected = [line for line in lines if line.startswith("connected to ")]
    assert len(connected) == 3
    assert set(connected) <= {"connected to maria2", "connected to maria3"}


def test_from_config_names_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    config = tmp_path / "my.toml"
    config.write_text('[[nodes]]\nname = "db1"\nhots = "db1"\n')
    done = run("from_config.py", DBCONFIG=str(config))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{config}: 3 errors" in done.stderr
    assert "nodes[0].hots (db1): unknown key; did you mean 'host'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_sqlalchemy_orm_writes_in_units_and_reads_from_a_standby(postgres: PostgresCluster) -> None:
    pieces, written, counted, standby = lines_of(run("sqlalchemy_orm.py", NODES=nodes_of(postgres)))
    assert (pieces, standby) == ("7 apples", "a standby: True")
    assert written == f"written on 127.0.0.1:{postgres.primary.port}"
    assert re.fullmatch(r"counted on 127\.0\.0\.1:(\d+) so far: [12]", counted)
    assert f":{postgres.primary.port} " not in counted


def test_own_pool_writes_on_the_primary_and_reads_from_a_standby(postgres: PostgresCluster) -> None:
    writing, reading = lines_of(run("own_pool.py", NODES=nodes_of(postgres)))
    assert writing == f"writing on 127.0.0.1:{postgres.primary.port} False"
    assert reading in [f"reading on 127.0.0.1:{node.port} True" for node in postgres.standbys]


_REVISION = """
revision = "one"
down_revision = None

from alembic import op

def upgrade():
    op.execute("CREATE TABLE alembic_made (id INT PRIMARY KEY)")

def downgrade():
    op.execute("DROP TABLE alembic_made")
"""


@pytest.mark.parametrize("servers", ["postgres", "galera"])
def test_alembic_env_migrates_where_writes_are_taken(request: pytest.FixtureRequest, servers: str, tmp_path: Path) -> None:
    found: PostgresCluster | GaleraCluster = request.getfixturevalue(servers)
    migrations = tmp_path / "migrations"
    (migrations / "versions").mkdir(parents=True)
    (migrations / "env.py").write_text((EXAMPLES / "alembic_env.py").read_text())
    (migrations / "versions" / "one.py").write_text(_REVISION)
    (tmp_path / "alembic.ini").write_text(f"[alembic]\nscript_location = {migrations}\nnodes = {nodes_of(found)}\n")
    made = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'alembic_made'"
    for direction, tables in (("upgrade", "head"), 1), (("downgrade", "base"), 0):
        command = [*PYTHON, "-m", "alembic", "-c", str(tmp_path / "alembic.ini"), *direction]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        node = found.primary if isinstance(found, PostgresCluster) else found.nodes[0]
        assert int(node.sql(made)[0][0]) == tables


def test_own_psycopg_pool_writes_on_the_primary(postgres: PostgresCluster) -> None:
    nodes = nodes_of(postgres).replace("postgresql:", "postgresql+psycopg:")
    assert lines_of(run("own_psycopg_pool.py", NODES=nodes)) == [f"writing on 127.0.0.1:{postgres.primary.port} False"]
