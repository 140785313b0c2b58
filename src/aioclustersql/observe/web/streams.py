"""Who watches, what happened while they did, and what is sent to all of them.

There is no task here: each stream's own request drives it. Rules: clusters are subscribed to only while somebody watches, what is
kept is bounded, and one who does not keep up is let go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...cluster import Cluster
from ...events import Event
from .history import History
from .limiter import Limiter
from .races import LOGIN_EVENTS, Races
from .readiness import Readiness, snapshot
from .told import told
from .view import page
from .view_lines import log_line, race_line

__all__ = ["Full", "Line", "Streams", "Watcher"]

LINES, RACES = 200, 30
"""Lines and races that are kept for those who come later."""
BEHIND = 256
"""Lines that may wait for one who watches; with more he is let go."""
PER_SECOND = 10
"""Lines of each kind that are told in a second."""
INBOX = 5000
"""Events between two turns of the loop that are looked at; with more the oldest are not."""


class Full(Exception):
    """As many watch as may."""


class Line:
    """Something that happened, as it is sent: for programs, and for the page."""

    __slots__ = ("kind", "number", "raw", "shown")

    def __init__(self, number: int, kind: str, raw: dict[str, Any], *, several: bool) -> None:
        self.number, self.kind, self.raw = number, kind, raw
        self.shown = race_line(raw, several=several) if kind == "race" else log_line(raw, several=several)

    def encode(self, *, for_page: bool) -> bytes:
        """As a server-sent event."""
        return encode(self.kind, self.shown if for_page else self.raw, self.number)


class Watcher:
    """One stream: what is still to be sent to it."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = deque(lines)
        self.news = False
        """Whether the state is another than was sent."""
        self.over = False
        self._wake = asyncio.Event()

    def tell(self, line: Line) -> None:
        """Another line; with too many the stream is over."""
        if len(self.lines) >= BEHIND:
            self.end()
        self.lines.append(line)
        self.news = self.news or line.kind == "event"
        self._wake.set()

    def end(self) -> None:
        """Let it end by itself."""
        self.over = True
        self.lines.clear()
        self._wake.set()

    async def wait(self, until: float) -> None:
        """For a line, the end, or a time of the loop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._wake.wait()
        self._wake.clear()


class Streams:
    """All streams of one app. `close()` ends them."""

    def __init__(self, clusters: Sequence[Cluster[Any]], readiness: Readiness, *, interval: float, max_streams: int) -> None:
        self.interval = interval
        self._clusters = tuple(clusters)
        self._readiness = readiness
        self._max = max_streams
        self._watchers: set[Watcher] = set()
        self._ends: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: deque[Event] = deque(maxlen=INBOX)
        self._called = False
        self._races: dict[str, Races] = {}
        self._limiter = Limiter(PER_SECOND)
        self._number = 0
        self._changes = 0
        self._frame: tuple[tuple[float, int], dict[bool, bytes]] = ((-1.0, 0), {})
        self.history = History()
        self.lines: deque[Line] = deque(maxlen=LINES)
        self.race_lines: deque[Line] = deque(maxlen=RACES)

    def __len__(self) -> int:
        return len(self._watchers)

    @property
    def several(self) -> bool:
        """Whether lines must name their cluster."""
        return len(self._clusters) > 1

    def close(self) -> None:
        """End every stream: when the server begins to shut down, which else waits for its clients. New ones may come."""
        for watcher in self._watchers:
            watcher.end()

    @contextmanager
    def watch(self, after: int | None) -> Iterator[Watcher]:
        """A stream, from the line after that number on (None: all that are kept). Raises `Full`."""
        if len(self._watchers) >= self._max:
            raise Full
        kept = sorted((*self.lines, *self.race_lines), key=lambda line: line.number)
        if after is None or after > self._number:  # the number of another process, before a restart
            after = 0
        watcher = Watcher([line for line in kept if line.number > after])
        if not self._watchers:
            self._subscribe()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._unsubscribe()

    def frame(self, due: float, *, for_page: bool) -> bytes:
        """The clusters' state as a server-sent event; made once for all streams that are due together, and when it changed."""
        if self._frame[0] != (due, self._changes):
            self._frame = ((due, self._changes), {})
        frames = self._frame[1]
        if for_page not in frames:
            frames[for_page] = encode("page", self.page()) if for_page else encode("stats", self.stats())
        return frames[for_page]

    def stats(self) -> list[dict[str, Any]]:
        """What /stats.json answers."""
        return snapshot(self._clusters, self._readiness)

    def page(self) -> dict[str, Any]:
        """What the page shows now; this is a sample of the sparklines, too."""
        now = asyncio.get_running_loop().time()
        stats = [cluster.stats() for cluster in self._clusters]
        for each in stats:
            self.history.sample(each, now)
        reasons = {each.name: self._readiness.reason(cluster, each) for cluster, each in zip(self._clusters, stats, strict=True)}
        return page(stats, reasons, self.history, now)

    def _subscribe(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._called = False
        self._races = {cluster.name: Races() for cluster in self._clusters}
        self._ends = [cluster.subscribe(self._heard) for cluster in self._clusters]

    def _unsubscribe(self) -> None:
        for end in self._ends:
            end()
        self._ends.clear()
        self._inbox.clear()

    def _heard(self, event: Event) -> None:
        """Put it aside: the connect that it happens in does not wait for us, and its loop may be another."""
        self._inbox.append(event)
        if not self._called and self._loop is not None:
            self._called = True
            self._loop.call_soon_threadsafe(self._read)

    def _read(self) -> None:
        self._called = False
        while self._inbox:
            event = self._inbox.popleft()
            if not isinstance(event, LOGIN_EVENTS):
                self._add("event", type(event).__name__, told(event))
            elif event.cluster in self._races:
                for race in self._races[event.cluster].take(event):
                    self._add("race", "routine" if race.routine else "race", race.as_dict())

    def _add(self, kind: str, limited_as: str, raw: dict[str, Any]) -> None:
        skipped = self._limiter.allow(limited_as, asyncio.get_running_loop().time())
        if skipped is None:
            return
        self._number += 1
        line = Line(self._number, kind, {**raw, "skipped": skipped}, several=self.several)
        (self.race_lines if kind == "race" else self.lines).append(line)
        self._changes += kind == "event"
        for watcher in self._watchers:
            watcher.tell(line)


def encode(kind: str, data: Any, number: int | None = None) -> bytes:
    """A server-sent event."""
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
