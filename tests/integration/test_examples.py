"""Every file of examples/ is run as it is written, in a process of its own, on real servers, with warnings as errors."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from aioclustersql import TransactionOutcomeUnknown
from aioclustersql.demo.postgres import PostgresCluster
from tests.servers.galera import GaleraCluster

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[2] / "examples"
PYTHON = (sys.executable, "-W", "error")

Serve = Callable[[str], AbstractContextManager[httpx.Client]]


def nodes_of(servers: PostgresCluster | GaleraCluster) -> str:
    """One URL that names all nodes."""
    hosts = ",".join(f"{node.host}:{node.port}" for node in servers.nodes)
    return f"postgresql://postgres@{hosts}/postgres" if isinstance(servers, PostgresCluster) else f"mysql://root@{hosts}/test"


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
    assert {each for each in examples if not any(name.startswith(f"test_{each}_") for name in tests)} == set()


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


# --- the web service ------------------------------------------------------------------------------------------------------


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Run the web service as its first lines say, on a free port, and talk to it. It must end in order, without a warning."""

    @contextmanager
    def serve(nodes: str) -> Iterator[httpx.Client]:
        log = tmp_path / "uvicorn.log"
        command = [*PYTHON, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "starlette_app:app", "--port", "0"]
        with (
            log.open("wb") as file,
            subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | {"NODES": nodes}) as server,
        ):
            try:
                with httpx.Client(base_url=_address(server, log), timeout=15, trust_env=False) as client:
                    yield client
                server.send_signal(signal.SIGINT)
                server.wait(15)
            finally:
                server.kill()
        told = log.read_text()
        assert "Application shutdown complete" in told
        assert "Traceback" not in told
        assert "Warning" not in told

    return serve


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 30
    while not (found := re.search(r"running on (http://\S+)", log.read_text())):
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return found[1]


@pytest.fixture
def visits(postgres: PostgresCluster) -> Iterator[PostgresCluster]:
    """The servers with the table of the web service."""
    postgres.primary.sql("create table visits (name text)")
    postgres.wait_replayed()
    yield postgres
    postgres.heal()
    postgres.primary.sql("drop table if exists visits")


def answers(client: httpx.Client, times: int, *, refused: int = 0) -> set[str]:
    """Ask so many times, once more where the service asks for that, `refused` times at most. The nodes that answered."""
    nodes = set()
    for number in range(times):
        while (response := client.get("/", params={"name": f"visitor {number}"})).status_code == 503 and refused:
            assert response.headers["Retry-After"] == "1"
            refused -= 1
        assert response.status_code == 200, response.text
        assert response.json()["greeting"] == f"Hello, visitor {number}"
        nodes.add(response.json()["node"])
    return nodes


def test_starlette_app_reads_from_the_standbys(serve: Serve, postgres: PostgresCluster) -> None:
    with serve(nodes_of(postgres)) as client:
        assert answers(client, 40) <= {f"127.0.0.1:{node.port}" for node in postgres.standbys}
        ready = client.get("/readyz")
        addresses = {f"127.0.0.1:{node.port}" for node in postgres.nodes}
        assert (ready.status_code, ready.json()) == (200, dict.fromkeys(addresses, "up"))


def test_starlette_app_has_committed_a_write_when_it_says_so(serve: Serve, visits: PostgresCluster) -> None:
    with serve(nodes_of(visits)) as client:
        for number in (1, 2):
            saved = client.post("/", params={"name": "you"})
            assert (saved.status_code, saved.json()) == (201, {"visits": number})
            assert visits.primary.value("select count(*) from visits") == str(number)


def test_starlette_app_goes_on_reading_while_a_node_is_frozen_and_another_is_killed(
    serve: Serve, postgres: PostgresCluster
) -> None:
    first, second = postgres.standbys
    with serve(nodes_of(postgres)) as client:
        assert answers(client, 20)
        first.freeze()
        assert answers(client, 60, refused=1) == {f"127.0.0.1:{second.port}"}  # but one that was on its way there
        second.kill9()
        assert answers(client, 60, refused=1) == {f"127.0.0.1:{postgres.primary.port}"}
        assert client.get("/readyz").status_code == 200


def test_starlette_app_goes_on_writing_after_a_promotion(serve: Serve, visits: PostgresCluster) -> None:
    standby = visits.standbys[0]
    with serve(nodes_of(visits)) as client:
        assert client.post("/", params={"name": "before"}).status_code == 201
        visits.primary.freeze()
        standby.promote()
        saved = client.post("/", params={"name": "after"})
        assert (saved.status_code, saved.json()) == (201, {"visits": 1})
        assert standby.value("select count(*) from visits where name = 'after'") == "1"


def test_starlette_app_says_when_no_node_answers_and_recovers_by_itself(serve: Serve, postgres: PostgresCluster) -> None:
    for node in postgres.nodes:
        node.kill9()
    with serve(nodes_of(postgres)) as client:  # it starts without its database
        for ask in (client.get, client.post):
            refused = ask("/")
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert "127.0.0.1" not in refused.text
        assert client.get("/readyz").status_code == 503
        postgres.heal()
        deadline = time.monotonic() + 10
        while client.get("/readyz").status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert answers(client, 1)


async def test_starlette_app_does_not_ask_for_another_try_of_what_may_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    module = importlib.import_module("starlette_app")
    answer = await module.unavailable(None, TransactionOutcomeUnknown("on node a: COMMIT was sent", "a"))
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, False)
    assert b"look before you try again" in answer.body
