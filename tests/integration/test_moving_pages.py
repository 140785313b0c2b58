"""The pages on moving from another library: what they print as "after" is run, and so is "before" where that is Python.

Rule: in a section both have to print the same. Go is not run.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.integration.snippets import ROOT, Hosts, on, program, run

pytestmark = pytest.mark.integration

PAGES = ROOT / "docs" / "how-to"
HASQL, ASYNCPG, GO = "move-from-hasql.md", "move-from-asyncpg-multi-host.md", "move-from-the-go-package.md"


DSN = "A DSN of Go"


def sections(page: str, language: str = "python") -> dict[str, list[str]]:
    """The blocks of code in that language, by the heading that they stand under."""
    parts = re.split(r"^## (.*)$", (PAGES / page).read_text(), flags=re.MULTILINE)
    found = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        marked = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        if codes := [code for mark, code in marked if mark == language]:
            found[heading] = codes
    return found


def outputs(hosts: Hosts, codes: dict[str, str]) -> dict[str, str]:
    """What each of these prints, one after another in one program."""
    calls = [
        f"async def section():\n{textwrap.indent(code, '    ')}\nprint('##', {heading!r})\nawait section()\n"
        for heading, code in codes.items()
    ]
    parts = re.split(r"^## (.*)\n", run(on(hosts, program(*calls))), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("page", [HASQL, ASYNCPG])
def test_before_and_after_print_the_same(db_hosts: Hosts, page: str) -> None:
    codes = sections(page)
    before, after = ({heading: pair[side] for heading, pair in codes.items()} for side in (0, 1))
    printed = outputs(db_hosts, before)
    assert all(printed.values()), "a section that prints nothing shows nothing"
    assert outputs(db_hosts, after) == printed


@pytest.mark.parametrize("page", [HASQL, ASYNCPG])
def test_every_section_with_code_has_a_before_and_an_after(page: str) -> None:
    assert {heading: len(codes) for heading, codes in sections(page).items() if len(codes) != 2} == {}


def test_the_page_for_users_of_go_does_what_it_says(maria_hosts: Hosts, tmp_path: Path) -> None:
    codes = {heading: "\n".join(blocks) for heading, blocks in sections(GO).items()}
    del codes[DSN]
    ((file,),) = sections(GO, "toml").values()
    config = tmp_path / "config.toml"
    config.write_text(file)
    codes["The file"] = codes["The file"].replace('"config.toml"', repr(str(config)))
    assert outputs(maria_hosts, codes) == {
        "The file": "('left', 'right')\n",
        "Nodes in code": "right spare\n",
        "Queries": "('/',)\n",
        "Every login on every node": "3\n",
    }


def test_a_dsn_of_go_is_answered_with_the_url_to_write() -> None:
    (code,) = sections(GO)[DSN]
    (shown,) = sections(GO, "")[DSN]
    assert run(program(code)) == shown
