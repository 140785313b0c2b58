"""How `watch` looks: a live table on a terminal, lines elsewhere, or every message as a line of JSON. Draws; asks nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import TypeAdapter
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ...demo.score import sparkline
from ...demo.show import node_cells, node_table, strokes
from ...node import Health
from ...observe.web.history import latency_of
from ...observe.web.words import age, clock, heard_of
from ...stats import ClusterStats, NodeStats
from ..running import print_json, printable
from .sources import Message

__all__ = ["Display", "JsonLines", "Lines", "Screen", "tables"]

_STATS = TypeAdapter(ClusterStats)
_STYLES = {"good": "green", "warning": "yellow", "bad": "bold red"}
_KEPT = 120


class Display(Protocol):
    """Where messages are shown."""

    def start(self) -> None:
        """Before the first one."""

    def stop(self) -> None:
        """After the last one."""

    def show(self, message: Message) -> None:
        """Show one."""


class JsonLines:
    """Every message as one line: {"stats": [...]}, {"event": {...}}, {"race": {...}}, {"lost": "..."}."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def show(self, message: Message) -> None:
        print_json(dict([message]), lines=True)


class Lines:
    """Plain text for pipes and logs: events as they come, and a line for each cluster when it has changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: dict[str, str] = {}

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def show(self, message: Message) -> None:
        kind, data = message
        if kind == "stats":
            for cluster in data:
                stats = _STATS.validate_python(cluster)
                said = f"{stats.name}: " + ", ".join(f"{node.name} {_state(node)} {node.role}" for node in stats.nodes.values())
                if self._last.get(stats.name) != said:
                    self._last[stats.name] = said
                    self._print(datetime.now(UTC).isoformat(), said)
        elif kind == "event":
            self._print(data["at"], _line(data))
        elif kind == "lost":
            self._print(datetime.now(UTC).isoformat(), data)

    def _print(self, at: str, text: str) -> None:
        self._console.out(f"{at[11:19]}  {printable(text)}", highlight=False)
        self._console.file.flush()


class Screen:
    """The live view: a table for each cluster at the bottom, events scrolling above."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self._history: dict[tuple[str, str], deque[float]] = {}

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def show(self, message: Message) -> None:
        kind, data = message
        if kind == "stats":
            self._live.update(Group(*tables(self._console, data, self._history)), refresh=True)
        elif kind == "event":
            self._say(data["at"], _line(data), _STYLES.get(data["level"], ""))
        elif kind == "lost":
            self._say(datetime.now(UTC).isoformat(), data, "bold red")

    def _say(self, at: str, text: str, style: str) -> None:
        self._console.print(Text.assemble((f"{at[11:19]}  ", "dim"), (printable(text), style), no_wrap=True, overflow="ellipsis"))


class _Latencies:
    """A node's latency over time: as much of the past as the column is wide."""

    def __init__(self, samples: Sequence[float]) -> None:
        self._samples = [round(1e6 * each) for each in samples]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = self._samples[-options.max_width :]
        yield Text(sparkline(shown, max(shown, default=0), strokes(options)), "cyan", no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(8, options.max_width), options.max_width)


def tables(
    console: Console, clusters: Sequence[Mapping[str, Any]], history: dict[tuple[str, str], deque[float]] | None = None
) -> list[RenderableType]:
    """A heading and a table for each cluster of a `stats` message; with `history`, which is added to, its sparklines too."""
    shown: list[RenderableType] = []
    for cluster in clusters:
        stats = _STATS.validate_python(cluster)
        reason = cluster.get("reason")
        style = "bold red" if reason else "bold green"
        shown.append(Text.assemble((stats.name, "bold"), "  ", (printable(f"not ready: {reason}" if reason else "ready"), style)))
        shown.append(_table(console, stats, history))
    return shown


def _table(console: Console, stats: ClusterStats, history: dict[tuple[str, str], deque[float]] | None) -> Table:
    table = node_table(console)
    for name in ("lag", "leased", "idle"):
        table.add_column(name, justify="right", no_wrap=True)
    if history is not None:
        table.add_column("latency over time", no_wrap=True, ratio=1)
    table.add_column("why, and since when", overflow="fold", ratio=2)
    for node in stats.nodes.values():
        cells: list[RenderableType] = [*node_cells(node), _lag(node), str(node.leased), str(node.idle)]
        if history is not None:
            samples = history.setdefault((stats.name, node.name), deque(maxlen=_KEPT))
            samples.append((latency_of(node) or 0.0) if node.health is Health.UP else 0.0)
            cells.append(_Latencies(samples))
        table.add_row(*cells, Text(printable(_why(node))))
    return table


def _state(node: NodeStats) -> str:
    return f"{node.health}{' (degraded)' if node.degraded else ' (avoided)' if node.avoided else ''}"


def _lag(node: NodeStats) -> str:
    return "-" if node.lag is None else f"{node.lag:.1f} s"


def _why(node: NodeStats) -> str:
    """Since when it is what it is; why it is not at its best, or of one that is well again, its last error."""
    words = [f"since {clock(node.since)}"] if heard_of(node) else []
    words += [word for word in ("draining", "degraded", "avoided") if getattr(node, word)]
    if node.cause:
        words.append(node.cause)
    elif node.last_error_message:
        words.append(f"last: {node.last_error_message}")
    if node.last_error is not None and not node.cause and node.last_error_message:
        words.append(age(node.last_error, datetime.now(UTC)))
    return ", ".join(words)


def _line(event: Mapping[str, Any]) -> str:
    node = f" {event['node']}" if event["node"] else ""
    return f"{event['cluster']}{node}: {event['text']}"
