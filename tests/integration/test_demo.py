"""The demo as a user runs it: it goes well, it can be stopped at any moment, and it leaves nothing behind."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from aioclustersql.demo import processes
from aioclustersql.demo.command import main

pytestmark = pytest.mark.integration

_DEMO = [sys.executable, "-W", "error", "-m", "aioclustersql.demo"]


class _Traces:
    """What a running demo has on this machine: its processes, and the folders that its servers name."""

    def __init__(self) -> None:
        self.pids: set[int] = set()
        self.folders: set[Path] = set()

    def take(self, pid: int) -> None:
        for child in psutil.Process(pid).children(recursive=True):
            self.pids.add(child.pid)
            try:
                command = child.cmdline()
            except psutil.Error:
                continue
            if "-D" in command:
                self.folders.add(Path(command[command.index("-D") + 1]).parent)

    def left(self) -> list[object]:
        return [pid for pid in self.pids if processes.is_running(pid)] + [folder for folder in self.folders if folder.exists()]


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [*_DEMO, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as demo:
        try:
            yield demo
        finally:
            demo.kill()


def _read_until(demo: subprocess.Popen[str], wanted: str) -> str:
    assert demo.stdout is not None
    read = ""
    for line in demo.stdout:
        read += line
        if wanted in line:
            return read
    raise AssertionError(f"{wanted!r} never came:\n{read}\n{demo.communicate()[1]}")


def test_it_goes_well_and_shows_a_table_at_the_end() -> None:
    traces = _Traces()
    with _running("--seconds", "4") as demo:
        output = _read_until(demo, "is the primary")
        traces.take(demo.pid)
        rest, complaints = demo.communicate(timeout=60)
    output += rest
    assert (demo.returncode, complaints) == (0, ""), output + complaints
    for act in ("pg2 is killed", "pg1 freezes", "pg3 is promoted", "pg1 thaws and takes itself for the primary"):
        assert f"*** {act}" in output
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in output.splitlines() if line.startswith("| pg")]
    assert [row[0] for row in table] == ["pg1", "pg2", "pg3"]
    wins = {row[0]: int(row[3].replace(",", "")) for row in table}
    assert wins["pg3"] > wins["pg1"], output  # for most of so short a time it is the one that serves
    assert "connects made, 0 failed; the longest took" in output.splitlines()[-1]
    assert re.match(r"[\d,]+ writes committed, 0 failed", output.splitlines()[-2])
    assert len(traces.pids) > 10
    assert len(traces.folders) == 1
    assert not traces.left()


@pytest.mark.parametrize(
    ("moment", "number", "code"),
    [
        ("starting PostgreSQL", signal.SIGINT, 130),
        ("is the primary", signal.SIGINT, 130),
        ("is killed", signal.SIGINT, 130),
        ("freezes", signal.SIGINT, 130),
        ("is promoted", signal.SIGINT, 130),
        ("freezes", signal.SIGTERM, 143),
    ],
)
def test_a_signal_stops_everything_at_any_moment(moment: str, number: signal.Signals, code: int) -> None:
    traces = _Traces()
    with _running("--seconds", "4") as demo:
        output = _read_until(demo, moment)
        traces.take(demo.pid)
        os.killpg(demo.pid, number)  # as a terminal does it: to every process in front
        rest, complaints = demo.communicate(timeout=20)
    assert (demo.returncode, complaints) == (code, ""), output + rest
    assert "Traceback" not in output + rest
    assert not traces.left()


@pytest.mark.parametrize("module", ["aioclustersql.demo.ending", "aioclustersql.dsn", "aioclustersql.cluster"])
def test_a_signal_during_the_import_is_quiet(module: str) -> None:
    command = [sys.executable, "-W", "error", "-X", "importtime", "-m", "aioclustersql.demo"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stderr is not None
        assert any(line.split()[-1] == module for line in demo.stderr)
        demo.send_signal(signal.SIGINT)
        rest = demo.stderr.read()
    assert demo.returncode == 130
    assert "Traceback" not in rest


def test_impatience_changes_nothing() -> None:
    traces = _Traces()
    with _running("--seconds", "4") as demo:
        _read_until(demo, "freezes")
        traces.take(demo.pid)
        while demo.poll() is None:
            os.killpg(demo.pid, signal.SIGINT)
            time.sleep(0.01)
        assert demo.returncode == 130
        assert demo.communicate()[1] == ""
    assert not traces.left()


def test_on_a_terminal_it_draws_a_live_view() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", "PYTHONUTF8": "1"}
    with subprocess.Popen([*_DEMO, "--seconds", "3"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as demo:
        os.close(theirs)
        drawn = b""
        try:
            while chunk := os.read(ours, 65536):
                drawn += chunk
        except OSError:  # how a Linux terminal says that its last user has gone
            pass
        finally:
            os.close(ours)
    output = drawn.decode()
    assert demo.returncode == 0, output
    assert "wins over time" in output
    assert "█" in output
    assert output.rstrip().endswith("\x1b[0m")
    assert "connects made, 0 failed" in output.splitlines()[-1]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    assert main([]) == 2
    assert "rich is missing: pip install 'aioclustersql[demo]'" in capsys.readouterr().err


def test_missing_servers_are_an_error_that_helps(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("aioclustersql.demo.binaries.known_programs", list)
    assert main([]) == 2
    assert "pip install 'aioclustersql[demo]'" in capsys.readouterr().err
