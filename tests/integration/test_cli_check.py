"""`aioclustersql check` on real servers: a good cluster passes, and each trouble is found, named and said what to do about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aioclustersql.demo.postgres import PostgresCluster
from tests.servers.galera import GaleraCluster

pytestmark = pytest.mark.integration

_CHECK = [sys.executable, "-W", "error", "-m", "aioclustersql.cli", "check"]
_TIMEOUT = 2.0

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


def check(path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and what it says in JSON; nothing goes to standard error."""
    done = subprocess.run(
        [*_CHECK, str(path), "--json", *options], capture_output=True, text=True, timeout=60, env=environment(), check=False
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "DBCONFIG"}


def found(said: Mapping[str, Any], severity: str = "error") -> set[tuple[str, str | None]]:
    """The codes of that severity and their nodes."""
    return {(each["code"], each["node"]) for each in said["findings"] if each["severity"] == severity}


def test_try(galera: GaleraCluster, postgres: PostgresCluster, config: Write) -> None:
    path = config({node.name: node.dsn() for node in galera.nodes})
    print(subprocess.run([*_CHECK, str(path)], capture_output=True, text=True))
    galera.nodes[2].isolate()
    print(subprocess.run([*_CHECK, str(path)], capture_output=True, text=True))
    path = config({node.name: node.dsn() for node in postgres.nodes})
    print(subprocess.run([*_CHECK, str(path)], capture_output=True, text=True))
    assert 0
