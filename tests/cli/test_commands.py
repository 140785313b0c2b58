"""What the command line says and ends with, without any server: usage, configuration, a missing extra, early signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from aioclustersql import __version__
from aioclustersql.cli import entry
from aioclustersql.cli.running import Exit
from aioclustersql.cli.watch.sources import RemoteSource, SourceError

Capture = pytest.CaptureFixture[str]
COMMANDS = ("check", "watch", "serve", "bench")


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    """Write a config.toml; its path."""

    def write(text: str) -> str:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return str(path)

    return write


MISSPELT = '[cluster]\nconect_timeout = 1.0\n[[nodes]]\nname = "n1"\ndsn = "mysql://app:hunter2@10.0.0.1/shop"\n'
WRONG_OPTION = '[[nodes]]\nname = "n1"\ndsn = "mysql://app:hunter2@10.0.0.1/shop?charzet=utf8"\n'


def test_the_version(capsys: Capture) -> None:
    assert entry.main(["--version"]) == 0
    assert capsys.readouterr().out == f"aioclustersql {__version__}\n"


def test_help_names_every_command_and_every_exit_code(capsys: Capture) -> None:
    assert entry.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert [name for name in (*COMMANDS, "demo") if f"  {name} " not in said] == []
    assert [code for code in Exit if f"{code.value}: " not in said] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_misspelt_key_is_one_message_without_a_secret(command: str, config: Callable[[str], str], capsys: Capture) -> None:
    assert entry.main([command, config(MISSPELT)]) == Exit.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("aioclustersql: ")
    assert said.err.endswith("cluster.conect_timeout: unknown key; did you mean 'connect_timeout'?\n")
    assert "hunter2" not in said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_of_the_driver_is_named_in_json_too(
    command: str, config: Callable[[str], str], capsys: Capture
) -> None:
    assert entry.main([command, config(WRONG_OPTION), "--json"]) == Exit.USAGE
    said = capsys.readouterr()
    assert said.err == ""
    answer = json.loads(said.out)
    assert answer["ok"] is False
    assert "'charset'" in answer["error"]
    assert "hunter2" not in said.out


@pytest.mark.parametrize("arguments", [["chek"], ["check", "--processes", "0"], ["bench", "--only", "all"], ["watch", "--often"]])
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str], capsys: Capture) -> None:
    assert entry.main(arguments) == Exit.USAGE
    assert "Usage: aioclustersql" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["typer", "uvicorn"])
def test_a_missing_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert entry.main(["--version"]) == Exit.USAGE
    assert f"needs {package}: pip install 'aioclustersql[cli]'" in capsys.readouterr().err


def test_a_token_file_that_cannot_be_read_is_an_error(tmp_path: Path, config: Callable[[str], str], capsys: Capture) -> None:
    path = config('[[nodes]]\nname = "n1"\ndsn = "mysql://10.0.0.1/shop"\n')
    assert entry.main(["serve", path, "--token-file", str(tmp_path / "none")]) == Exit.USAGE
    assert "--token-file" in capsys.readouterr().err


def test_completion_knows_the_commands(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("_AIOCLUSTERSQL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "aioclustersql ")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert entry.main([]) == 0
    assert set(COMMANDS) <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("module", ["typer", "aioclustersql.cli.app"])
def test_a_signal_during_the_imports_is_quiet(module: str) -> None:
    command = [sys.executable, "-W", "error", "-X", "importtime", "-m", "aioclustersql.cli", "check", "/nope.toml"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(line.split()[-1] == module for line in process.stderr)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode in (Exit.INTERRUPTED, Exit.USAGE)  # it may have been quicker
    assert "Traceback" not in rest


def test_nothing_of_the_library_is_imported_for_help() -> None:
    code = "import sys; from aioclustersql.cli import app; print('aioclustersql.cluster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(404), "answers 404: is that where a status app is mounted"),
        (httpx.Response(200, text="<html>"), "does not answer as a status app"),
    ],
)
async def test_a_url_that_is_no_status_app_is_an_error(
    answer: httpx.Response, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def get(self: Any, url: str) -> httpx.Response:
        assert url == "http://app:hunter2@127.0.0.1:1/status/stats.json"
        answer.request = httpx.Request("GET", url)
        return answer

    monkeypatch.setattr(httpx.AsyncClient, "get", get)
    with pytest.raises(SourceError, match=said) as caught:
        await RemoteSource("http://app:hunter2@127.0.0.1:1/status/").once()
    assert "hunter2" not in str(caught.value)
