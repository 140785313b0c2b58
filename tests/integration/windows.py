"""An open cluster looked at through all windows at once: the page, `watch`, /readyz, the metrics and the log.

Rule: a window is read as an operator reads it (HTML, a drawn table, a scrape); a fault is told when every one of them tells it.
"""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from aioclustersql import Cluster
from aioclustersql.cli.watch.display import tables
from aioclustersql.observe.web import status_app

from .support import Engine, until

__all__ = ["Told", "Windows"]

WITHIN = 2.0
"""Seconds in which all of them must tell."""


@dataclass(frozen=True, slots=True)
class Told:
    """What all windows must say of a node. Patterns are searched; `metrics`: sample -> value, as `health down`."""

    state: str
    metrics: dict[str, float]
    log: str
    why: str = ""
    role: str = ""
    ready: bool = True


class Windows:
    """The windows of a cluster; it is ready when three nodes serve its target."""

    def __init__(self, cluster: Cluster[Any], engine: Engine, log: pytest.LogCaptureFixture) -> None:
        self._cluster, self._names, self._log = cluster, [node.name for node in engine.nodes], log
        app = status_app(cluster, ready_nodes=3)
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status")
        self._began = datetime.now(UTC)

    async def __aenter__(self) -> Windows:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    def mark(self) -> None:
        """What is done now is a fault, or its end: of what was before nothing counts."""
        self._log.clear()
        self._began = datetime.now(UTC)

    async def tell(self, node: str, told: Told, within: float = WITHIN) -> None:
        """Every window says it."""
        silent: list[str] = []

        async def all_tell() -> bool:
            silent[:] = await self._silent(node, told)
            return not silent

        try:
            await until(all_tell, "", within)
        except AssertionError:
            pytest.fail(f"within {within:g} s {node} is not told as {told}:\n" + "\n".join(silent) + f"\n{self._log.text}")

    async def are_clear(self, within: float = WITHIN) -> None:
        """No window says anything is wrong."""
        wrong: list[str] = []

        async def clear() -> bool:
            wrong[:] = await self._wrong()
            return not wrong

        try:
            await until(clear, "", within)
        except AssertionError:
            pytest.fail(f"not all is clear after {within:g} s:\n" + "\n".join(wrong))

    async def _silent(self, node: str, told: Told) -> list[str]:
        """What the windows show that do not tell it."""
        silent = []
        since = self._cluster.stats().nodes[node].since
        if since < self._began:
            silent.append(f"stats: since {since}")
        when = f"since {since:%H:%M:%S}"
        answer = await self._client.get("/readyz")
        readyz = answer.json()["clusters"][self._cluster.name]
        drawn = {
            "page": _row((await self._client.get("/")).text, node),
            "watch": await self._watch(node),
            "readyz": readyz["nodes"][node],
        }
        for window, text in drawn.items():
            if not all(re.search(pattern, text) for pattern in (told.state, told.role, told.why, when)):
                silent.append(f"{window}: {text}")
        if (answer.status_code == 200) is not told.ready or (not told.ready and f"{node}: {told.state}" not in readyz["reason"]):
            silent.append(f"readyz: {answer.status_code} {readyz['reason']}")
        samples = await self._samples(node)
        wanted = {**told.metrics, "since_timestamp_seconds": since.timestamp()}
        silent += [f"metrics: {name} {samples.get(name)}" for name, value in wanted.items() if samples.get(name) != value]
        if not re.search(rf"node {node}\b.*{told.log}", self._log.text):
            silent.append(f"log: no {told.log}")
        return silent

    async def _wrong(self) -> list[str]:
        wrong = []
        answer = await self._client.get("/readyz")
        if answer.status_code != 200:
            wrong.append(f"readyz: {answer.text}")
        page = (await self._client.get("/")).text
        if "All 3 nodes are up." not in page:
            wrong.append("page: " + _words(page)[:300])
        for name in self._names:
            texts = (_row(page, name), await self._watch(name), answer.json()["clusters"][self._cluster.name]["nodes"][name])
            wrong += [text for text in texts if re.search("down|suspect|degraded|avoided", text.partition("last: ")[0])]
            samples = await self._samples(name)
            if [samples[each] for each in ("up", "degraded", "avoided")] != [
                1,
                0,
                0,
            ] or "observed_timestamp_seconds" not in samples:
                wrong.append(f"metrics: {name} {samples}")
        return wrong

    async def _watch(self, node: str) -> str:
        """Its line of the table that `watch --once` draws."""
        console = Console(file=io.StringIO(), width=400)
        for part in tables(console, (await self._client.get("/stats.json")).json()):
            console.print(part)
        (line,) = [line for line in console.file.getvalue().splitlines() if re.search(rf"^\W*{node}\b", line)]  # type: ignore[attr-defined]
        return str(line)

    async def _samples(self, node: str) -> dict[str, float]:
        """What a scrape says of a node: a name, and its label where it has one more."""
        found = {}
        for family in text_string_to_metric_families((await self._client.get("/metrics")).text):
            for sample in family.samples:
                if sample.labels.get("node") == node:
                    more = [value for label, value in sample.labels.items() if label not in ("node", "cluster")]
                    found[" ".join([sample.name.removeprefix("aioclustersql_node_"), *more])] = sample.value
        return found


def _row(page: str, node: str) -> str:
    (row,) = re.findall(rf'<tr role="row" data-node="{re.escape(node)}".*?</tr>', page, re.DOTALL)
    return _words(row)


def _words(markup: str) -> str:
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", markup)).split())
