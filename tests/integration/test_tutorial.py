"""The tutorial lose-a-node.md, word for word: its program on its servers, hurt as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from aioclustersql.demo.pgsettings import choose_ports
from aioclustersql.demo.stand import PORTS
from tests.integration.snippets import ROOT, blocks

pytestmark = pytest.mark.integration

PAGE = ROOT / "docs" / "tutorials" / "lose-a-node.md"


@pytest.fixture
def ports() -> dict[str, str]:
    """Free ports for those of the page, so that somebody may follow it meanwhile."""
    return {str(port): str(free) for port, free in zip(PORTS, choose_ports(3), strict=True)}


def moved(text: str, ports: dict[str, str]) -> str:
    return re.sub("|".join(ports), lambda match: ports[match[0]], text)


@pytest.fixture
def stand(ports: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "aioclustersql.demo.stand", "--ports", *ports.values()]
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
    first, second, _ = ports.values()
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
