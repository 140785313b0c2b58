"""`watch`, `serve` and `bench` on real servers, as a user runs them: what they show when a node dies, and how they end."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from aioclustersql.demo.postgres import PostgresCluster

pytestmark = pytest.mark.integration

_CLI = [sys.executable, "-W", "error", "-m", "aioclustersql.cli"]


@pytest.fixture
def config(tmp_path: Path, postgres: PostgresCluster) -> str:
    nodes = "".join(f'[[nodes]]\nname = "{node.name}"\ndsn = "{node.dsn()}"\n' for node in postgres.nodes)
    path = tmp_path / "config.toml"
    path.write_text(f'[cluster]\nname = "shop"\nconnect_timeout = 2.0\n{nodes}')
    return str(path)


@contextmanager
def running(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    command = [*_CLI, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """The first line that has it."""
    assert process.stdout is not None
    for line in process.stdout:
        if wanted in line:
            return line
    raise AssertionError(f"{wanted!r} never came: {process.communicate()[1]}")


def ended_by(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """The exit code, and what went to standard error."""
    process.send_signal(number)
    return process.wait(20), process.communicate()[1]


def run(*arguments: str) -> tuple[int, Any]:
    done = subprocess.run([*_CLI, *arguments, "--json"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def free_port() -> str:
    for port in range(18700, 18800):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return str(port)
    raise AssertionError("no port is free")


def test_what_a_served_cluster_sees_is_watched_from_elsewhere(config: str, postgres: PostgresCluster) -> None:
    token = {"AIOCLUSTERSQL_TOKEN": "hunter2"}
    with running("serve", config, "--port", free_port(), "--json", environment=token) as server:
        url = json.loads(read_until(server, "url"))["url"]
        with running("watch", url, "--json") as watcher:
            stats = json.loads(read_until(watcher, '"observed": "'))["stats"]
            assert [(each["name"], sorted(each["nodes"])) for each in stats] == [("shop", ["pg1", "pg2", "pg3"])]
            postgres.primary.kill9()
            event = json.loads(read_until(watcher, '"HealthChanged"'))["event"]
            assert (event["node"], event["fields"]["new"]) == ("pg1", "down")
            code, (once,) = (answer := run("watch", url, "--once"))[0], answer[1]["stats"]
            assert (code, once["ready"]) == (1, False)
            assert "pg1: down" in once["reason"]
            assert httpx.get(f"{url}readyz").status_code == 503
            drain = f"{url}nodes/shop/pg2/drain"
            assert httpx.post(drain).status_code == 401
            assert httpx.post(drain, headers={"Authorization": "Bearer hunter2"}).status_code == 200
            assert ended_by(server, signal.SIGTERM) == (143, "")
            assert "lost" in json.loads(read_until(watcher, '"lost"'))
            assert ended_by(watcher, signal.SIGINT) == (130, "")
    code, answer = run("watch", url, "--once")
    assert (code, answer["ok"]) == (1, False)
    assert "does not answer as a status app" in answer["error"]


def test_lines_tell_what_happens_to_a_node(config: str, postgres: PostgresCluster) -> None:
    with running("watch", config) as watcher:
        read_until(watcher, "shop: pg1 up primary, pg2 up standby, pg3 up standby")
        postgres.standbys[0].kill9()
        assert "up → down: ConnectionRefusedError" in read_until(watcher, "shop pg2:")
        read_until(watcher, "shop: pg1 up primary, pg2 down standby, pg3 up standby")
        assert ended_by(watcher, signal.SIGINT) == (130, "")


def test_on_a_terminal_it_draws_a_live_table(config: str) -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "150", "LINES": "40", "PYTHONUTF8": "1"}
    with subprocess.Popen([*_CLI, "watch", config], stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as watcher:
        drawn = drawn_until(ours, "█")
        watcher.send_signal(signal.SIGINT)
        drawn += drawn_until(ours, "\x1b[?25h")  # the cursor is back
        assert watcher.wait(20) == 130
    os.close(theirs)
    os.close(ours)
    assert "latency over time" in drawn
    assert "Traceback" not in drawn


def drawn_until(terminal: int, wanted: str) -> str:
    drawn = b""
    while wanted.encode() not in drawn:
        drawn += os.read(terminal, 65536)
    return drawn.decode(errors="replace")


def test_a_port_that_is_taken_is_an_error_and_another_host_a_warning(config: str) -> None:
    with socket.create_server(("127.0.0.1", int(free_port()))) as taken:
        code, answer = run("serve", config, "--port", str(taken.getsockname()[1]))
        assert (code, answer["ok"]) == (1, False)
        assert "Address already in use" in answer["error"]
        done = subprocess.run(
            [*_CLI, "serve", config, "--host", "0.0.0.0", "--port", str(taken.getsockname()[1])],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "can read the status" in done.stderr


def test_bench_measures_connects_and_leases(config: str) -> None:
    code, answer = run("bench", config, "--seconds", "1", "--workers", "2")
    connects, leases = answer["results"]
    assert code == 0
    for result in (connects, leases):
        assert result["nodes"] == {"pg1": result["count"]}
        assert sum(row["count"] for row in result["histogram"]) == result["count"] > 0
        assert result["min"] <= result["p50"] <= result["p99"] <= result["max"]
    assert leases["p50"] < connects["p50"]
