"""Where `watch` gets its messages: from a cluster of its own, or from the status URL of a running process. Draws nothing.

A message is a kind and its data, as in the events of `aioclustersql.observe.web`: `stats`, `event`, `race`; and `lost`, with the
reason in words, while a status URL does not answer. Rule: what waits to be read is bounded.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

import httpx

from ...cluster import Cluster
from ...dsn import redact
from ...events import Event
from ...observe.web.races import LOGIN_EVENTS
from ...observe.web.readiness import Readiness, snapshot
from ...observe.web.told import told
from ...stats import ClusterStats

__all__ = ["LocalSource", "Message", "RemoteSource", "Source", "SourceError"]

Message = tuple[str, Any]

INTERVAL = 1.0
"""Seconds from one `stats` to the next."""
_WAITING = 1000
_AGAIN = 1.0
_PATIENCE = 5.0
"""Seconds without a word from a status URL; it speaks every second."""


class SourceError(Exception):
    """The status URL does not answer, or not as a status URL does."""


class Source(Protocol):
    """Gives messages; used once, by one of the two."""

    async def once(self) -> list[dict[str, Any]]:
        """How things are, as soon as that is known. Raises `SourceError`."""
        ...

    def messages(self) -> AsyncGenerator[Message, None]:
        """Everything, until the caller leaves. Raises `SourceError` where it cannot even begin."""
        ...


class LocalSource:
    """A cluster that is opened to be watched: its monitor asks the nodes."""

    def __init__(self, cluster: Cluster[Any], patience: float) -> None:
        """`patience`: seconds that a node may take for its first word, with `once`."""
        self._cluster = cluster
        self._patience = patience

    async def once(self) -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        async with self._cluster:
            until = loop.time() + self._patience
            while not _is_known(self._cluster.stats()) and loop.time() < until:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.02)
            return snapshot((self._cluster,), Readiness())

    async def messages(self) -> AsyncGenerator[Message, None]:
        waiting: deque[Message] = deque(maxlen=_WAITING)
        news = asyncio.Event()

        def listen(event: Event) -> None:
            if not isinstance(event, LOGIN_EVENTS):
                waiting.append(("event", told(event)))
                news.set()

        loop = asyncio.get_running_loop()
        unsubscribe = self._cluster.subscribe(listen)
        try:
            async with self._cluster:
                due = loop.time()
                while True:
                    while waiting:
                        yield waiting.popleft()
                    if loop.time() >= due:
                        due = loop.time() + INTERVAL
                        yield "stats", snapshot((self._cluster,), Readiness())
                    news.clear()
                    if not waiting:
                        timer = loop.call_at(due, news.set)
                        await news.wait()
                        timer.cancel()
        finally:
            unsubscribe()


class RemoteSource:
    """The status app of a running process, by its URL."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.shown = redact(self._url)

    async def once(self) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(timeout=_PATIENCE) as client:
            try:
                answer = await client.get(f"{self._url}/stats.json")
                self._check(answer)
                found: list[dict[str, Any]] = answer.json()
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
                raise SourceError(self._said(exc)) from exc
            return found

    async def messages(self) -> AsyncGenerator[Message, None]:
        heard = False
        async with httpx.AsyncClient(timeout=_PATIENCE) as client:
            while True:
                try:
                    async with aclosing(self._stream(client)) as stream:
                        async for message in stream:
                            heard = True
                            yield message
                    lost = f"{self.shown}/events has ended"
                except (httpx.HTTPError, httpx.InvalidURL, ValueError) as exc:
                    lost = self._said(exc)
                    if not heard:
                        raise SourceError(lost) from exc
                yield "lost", lost
                await asyncio.sleep(_AGAIN)

    async def _stream(self, client: httpx.AsyncClient) -> AsyncGenerator[Message, None]:
        async with client.stream("GET", f"{self._url}/events", headers={"Accept": "text/event-stream"}) as answer:
            self._check(answer)
            kind, data = "", ""
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    data += value
                elif not line and data:
                    yield kind, json.loads(data)
                    kind, data = "", ""

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code != httpx.codes.OK:
            raise SourceError(f"{self.shown} answers {answer.status_code}: is that where a status app is mounted?")

    def _said(self, exc: Exception) -> str:
        return f"{self.shown} does not answer as a status app: {str(exc) or type(exc).__name__}"


def _is_known(stats: ClusterStats) -> bool:
    """Whether every node has been heard of, or is known not to answer."""
    return all(node.observed is not None or node.last_error is not None for node in stats.nodes.values())
