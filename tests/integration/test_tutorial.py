"""The tutorials, word for word: their programs on their servers, hurt as they say."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from aioclustersql.demo.pgsettings import choose_ports
from aioclustersql.demo.stand import PORTS
from tests.integration.snippets import ROOT, blocks

pytestmark = pytest.mark.integration

TUTORIALS = ROOT / "docs" / "tutorials"
PAGE, SERVICE = TUTORIALS / "lose-a-node.md", TUTORIALS / "a-web-service.md"
SERVICE_PORT = 8000


@pytest.fixture
def ports() -> dict[str, str]:
    """Free ports for those of the page, so that somebody may follow it meanwhile."""
    wanted = (*PORTS, SERVICE_PORT)
    return {str(port): str(free) for port, free in zip(wanted, choose_ports(len(wanted)), strict=True)}


def moved(text: str, ports: dict[str, str]) -> str:
    return re.sub("|".join(ports), lambda match: ports[match[0]], text)


@pytest.fixture
def stand(ports: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "aioclustersql.demo.stand", "--ports", *(ports[str(port)] for port in PORTS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.terminate()


def lines(process: subprocess.Popen[str], count: int) -> str:
    assert process.stdout is not None
    return "".join(process.stdout.readline() for _ in range(count))


def beats(stream: IO[str], port: str, count: int) -> list[int]:
    """The numbers of the next beats there; all numbers on the way go up by one."""
    numbers: list[int] = []
    here = 0
    while here < count:
        number, where = re.fullmatch(r"beat (\d+) on (\d+)\n", stream.readline()).groups()  # type: ignore[union-attr]
        numbers.append(int(number))
        here += where == port
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return numbers


def test_the_program_goes_on_while_its_nodes_are_taken_away(
    stand: subprocess.Popen[str], ports: dict[str, str], tmp_path: Path
) -> None:
    assert stand.stdin is not None
    (code,), shown, words = blocks(PAGE, "python"), blocks(PAGE, "text"), blocks(PAGE, "console")
    words = [typed.strip().removeprefix("stand> ") for typed in words]
    first, second, *_ = ports.values()
    assert lines(stand, 5) == moved(shown[0].removesuffix("stand>\n"), ports)
    (tmp_path / "beat.py").write_text(moved(code, ports).replace("sleep(0.5)", "sleep(0.05)"))
    with subprocess.Popen([sys.executable, tmp_path / "beat.py"], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert [f"beat {number} on {first}\n" for number in beats(program.stdout, first, 2)] == moved(shown[1], ports).splitlines(
            True
        )
        last = 2
        for word in words[:-1]:
            stand.stdin.write(f"{word}\n")
            stand.stdin.flush()
            assert word.split()[1] in lines(stand, 3)
            if word != words[0]:  # it is frozen, and there is no other yet
                numbers = beats(program.stdout, second, 5)
                assert numbers[0] == last + 1
                last = numbers[-1]
        program.terminate()
    stand.stdin.write(f"{words[-1]}\n")
    stand.stdin.flush()
    assert stand.wait(20) == 0


@contextmanager
def following(command: str, folder: Path, **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """A command of the page, which goes on until Ctrl-C: the one of this environment, in `folder`."""
    modules = {"venv/bin/uvicorn": "uvicorn", "venv/bin/aioclustersql": "aioclustersql.cli"}
    program, *arguments = shlex.split(command)
    line = [sys.executable, "-m", modules[program], *arguments]
    with subprocess.Popen(line, cwd=folder, text=True, **streams) as process:
        try:
            yield process
        finally:
            process.terminate()


def curl(command: str) -> Any:
    """What a `curl` of the page answers."""
    program, *arguments = shlex.split(command)
    assert program == "curl"
    method = arguments[1] if arguments[:-1] == ["-X", "POST"] else "GET"
    return httpx.request(method, arguments[-1], timeout=20.0).raise_for_status().json()


def alike(answer: Any, shown: str, standbys: Sequence[str]) -> bool:
    """Whether it is the answer that is shown; a read may come from another of the nodes that serve reads."""
    wanted = json.loads(shown)
    same_node = answer["node"] == wanted["node"] or {answer["node"], wanted["node"]} <= set(standbys)
    return bool(answer["orders"] == wanted["orders"]) and same_node


def until_served(url: str) -> None:
    end = time.monotonic() + 20.0
    while time.monotonic() < end:
        try:
            httpx.get(url).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nothing serves at {url}")


def until_told(stream: IO[str], word: str) -> None:
    for line in stream:
        if word in line:
            return
    raise AssertionError(f"nobody said {word!r}")


def test_the_web_service_goes_on_while_its_primary_is_frozen(
    stand: subprocess.Popen[str], ports: dict[str, str], tmp_path: Path
) -> None:
    (code,) = blocks(SERVICE, "python")
    words = [typed.strip().removeprefix("stand> ") for typed in blocks(SERVICE, "console")]
    _, _, serve, post, get, watch, get_again, post_late, post_last = [moved(text, ports) for text in blocks(SERVICE, "sh")]
    shown = [moved(text, ports) for text in blocks(SERVICE, "json")]
    standbys = [f"127.0.0.1:{ports[str(port)]}" for port in PORTS[1:]]
    (tmp_path / "shop.py").write_text(moved(code, ports))

    def hurt(word: str) -> None:
        assert stand.stdin is not None
        stand.stdin.write(f"{word}\n")
        stand.stdin.flush()

    # The service is told to start while its servers still do: it waits for them.
    with following(f"{serve.strip()} --log-level critical", tmp_path), ThreadPoolExecutor(1) as pool:
        assert lines(stand, 5) == moved(blocks(SERVICE, "text")[0].removesuffix("stand>\n"), ports)
        until_served(f"http://127.0.0.1:{ports[str(SERVICE_PORT)]}/orders")
        assert alike(curl(post), shown[0], ())
        with following(watch, tmp_path, stdout=subprocess.PIPE) as watching:
            assert watching.stdout is not None
            until_told(watching.stdout, "up")
            assert alike(curl(get), shown[1], standbys)
            hurt(words[0])
            until_told(watching.stdout, "down")
            assert alike(curl(get_again), shown[2], standbys)
            waiting = pool.submit(curl, post_late)
            hurt(words[1])
            assert alike(waiting.result(), shown[3], ())
            hurt(words[2])
            until_told(watching.stdout, "timeline")
            assert alike(curl(post_last), shown[4], ())
    hurt(words[3])
    assert stand.wait(20) == 0
