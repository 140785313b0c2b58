"""The stand of the tutorial: servers at known ports, hurt by words, gone when it ends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys

import psutil
import pytest

from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.demo.stand import Stand

pytestmark = pytest.mark.integration


def told(postgres: PostgresCluster, *commands: str) -> list[list[str]]:
    """What the stand prints after each command, in lines."""
    out = io.StringIO()
    Stand(postgres, io.StringIO("\n".join([*commands, "quit\n"])), out).cmdloop("")
    return [part.splitlines() for part in out.getvalue().split(Stand.prompt)[1:-1]]


def test_every_word_hurts_or_heals_the_node_it_names(postgres: PostgresCluster) -> None:
    names = [(node.name, f"{node.host}:{node.port}") for node in postgres.nodes]

    def states(*states: str) -> list[str]:
        return [f"{name}  {address}  {state}" for (name, address), state in zip(names, states, strict=True)]

    assert told(postgres, "status", "freeze pg2", "thaw pg2", "kill pg3", "start pg3", "promote pg2", "heal") == [
        states("primary  running", "standby  running", "standby  running"),
        states("primary  running", "standby  frozen", "standby  running"),
        states("primary  running", "standby  running", "standby  running"),
        states("primary  running", "standby  running", "standby  dead"),
        states("primary  running", "standby  running", "standby  running"),
        states("primary  running", "primary  running", "standby  running"),
        states("primary  running", "standby  running", "standby  running"),
    ]


def test_what_it_does_not_understand_or_cannot_do_is_said_and_does_no_harm(postgres: PostgresCluster) -> None:
    unknown, nobody, refused, after = told(postgres, "explode pg1", "kill pg9", "promote pg1", "status")
    assert unknown == ["'explode' is no command: help lists them"]
    assert nobody == ["which node? pg1, pg2, pg3"]
    assert refused[0].startswith("not done: pg1")
    assert [line.split()[-1] for line in after] == ["running"] * 3


def test_it_ends_its_servers_when_it_is_interrupted_also_as_a_background_job() -> None:
    deaf = "import runpy, signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    deaf += "runpy.run_module('aioclustersql.demo.stand', run_name='__main__')"
    command = [sys.executable, "-c", deaf, "--ports", "15441", "15442", "15443"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as stand:
        assert stand.stdout is not None
        lines = [stand.stdout.readline() for _ in range(4)]
        assert lines[-1] == "use them:  postgresql://postgres@127.0.0.1:15441,127.0.0.1:15442,127.0.0.1:15443/postgres\n", lines
        started = psutil.Process(stand.pid).children(recursive=True)
        os.kill(stand.pid, signal.SIGINT)
        assert stand.wait(20) == 130
    assert len(started) >= 3
    assert psutil.wait_procs(started, timeout=10)[1] == []
