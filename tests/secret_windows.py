"""Everything that can be looked at of a planted cluster: all windows, `check`, and the text of every public value.

Rule: a new window is added here, and with that to every test that greps.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
from rich.console import Console

from aioclustersql import Cluster
from aioclustersql.cli.check import report
from aioclustersql.cli.check.examine import Examination
from aioclustersql.cli.check.judge import judge
from aioclustersql.cli.watch.display import tables
from aioclustersql.config import Settings
from aioclustersql.observe.web import status_app
from aioclustersql.testing import FakeConnection
from tests.secrets import Plant
from tests.web.asgi import Client

__all__ = ["TOKEN", "Looking", "checked", "values"]

TOKEN = "tok-s3cr3t-p4ss"
_PATHS = ("/", "/page.json", "/readyz", "/stats.json", "/debug/vars", "/metrics")


class Looking:
    """The status app, with a listener on each of its streams."""

    def __init__(self, cluster: Cluster[Any]) -> None:
        self._app = status_app(cluster, token=TOKEN)
        self._listening = [Client(self._app, "/events"), Client(self._app, "/events", query="page")]

    async def seen(self) -> list[str]:
        """What each address answers, what was streamed so far, and what `watch` draws of it."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://status") as client:
            shown = [(await client.get(path)).text for path in _PATHS]
            shown.append((await client.post("/nodes/url/drain", headers={"Authorization": "Bearer wrong"})).text)
            stats = (await client.get("/stats.json")).json()
        out = Console(file=io.StringIO(), width=300)
        out.print(*tables(out, stats))
        return [*shown, _drawn(out), *(each.body.decode() for each in self._listening)]

    async def leave(self) -> None:
        """Hear no more."""
        for each in self._listening:
            await each.leave()


async def checked(plant: Plant) -> list[str]:
    """What `check` prints of the same nodes, drawn and as JSON."""
    options = MappingProxyType({"driver": plant.driver, "connect_timeout": 1.0})
    settings = Settings(plant.nodes, options, Path("config.toml"))
    examination = Examination(settings)
    facts = await examination.run()
    findings = judge(facts, examination.needs)
    out = Console(file=io.StringIO(), width=300)
    report.show(out, facts, findings)
    return [_drawn(out), json.dumps(report.as_dict(facts, findings, 0.0)), repr(facts), repr(settings)]


def values(plant: Plant, cluster: Cluster[FakeConnection]) -> list[str]:
    """The reprs of all that users hold."""
    endpoints = [plant.driver.parse(node.dsn, node.connect_options) for node in plant.nodes]
    views = [cluster, cluster.with_options(timeout=1.0), cluster.connect(), cluster.acquire(), cluster.stats()]
    return [repr(each) for each in (*plant.nodes, *endpoints, *views, *cluster.nodes, *plant.events)]


def _drawn(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
