"""The code of the how-to pages runs as it is printed, and the status app works under a prefix in each framework."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from .conftest import client_of

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGE = HOW_TO / "read-the-status-page.md"
PROBES = HOW_TO / "kubernetes-probes.md"
FRAMEWORKS = ("Starlette", "FastAPI", "Litestar")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def run(code: str) -> dict[str, Any]:
    """What a snippet defines; making a cluster does no I/O."""
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_it_works_under_a_prefix(framework: str):
    assert len(blocks(PAGE, "python")) == len(FRAMEWORKS)
    app = run(re.split(rf"^{framework}:$", PAGE.read_text(), flags=re.MULTILINE)[1].split("```")[1].removeprefix("python\n"))[
        "app"
    ]
    assert type(app).__name__ == framework
    async with client_of(app) as client:
        page = await client.get("/status", follow_redirects=True)
        assert page.status_code == 200
        assert page.url.path == "/status/"
        assert 'data-cluster="shop"' in page.text
        for link in ("static/page.css", "static/page.js", "page.json", "stats.json", "healthz", "debug/vars"):
            answer = await client.get(urljoin(str(page.url), link))
            assert answer.status_code == 200, link
        assert (await client.get("/status/readyz")).status_code == 503
        refused = await client.post("/status/nodes/shop/db1/drain")
        assert refused.status_code == 403


async def test_the_probes_are_answered_as_the_page_says():
    (code,) = blocks(PROBES, "python")
    (printed,) = blocks(PROBES, "json")
    (probes,) = blocks(PROBES, "yaml")
    paths = re.findall(r"path: /status(\S+),", probes)
    async with client_of(run(code)["status"]) as client:
        answers: list[httpx.Response] = [await client.get(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 503]
    told, shown = answers[1].json(), json.loads(printed)
    assert told.keys() == shown.keys()
    assert told["clusters"]["shop"].keys() == shown["clusters"]["shop"].keys()
    assert told["clusters"]["shop"]["reason"].startswith("0 of 1 nodes ready for any: db1:5432: up, unknown; ")
