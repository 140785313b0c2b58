"""How the demo looks: a live view on a terminal, plain lines elsewhere, and the table at the end. Draws; decides nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..node import Health, Role
from ..stats import ClusterStats, NodeStats
from .score import Score, sparkline, verdict, writes

__all__ = ["Lines", "Screen", "View", "final_table", "make_view", "node_cells", "node_table", "strokes"]

_STYLES = {Health.UP: "green", Health.SUSPECT: "yellow", Health.HALF_OPEN: "yellow", Health.DOWN: "red"}
_STROKES = " ▁▂▃▄▅▆▇█"
_ASCII_STROKES = " .:-=+*#@"


class View(Protocol):
    """Where the demo tells what happens."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def say(self, now: float, text: str, *, act: bool = False) -> None:
        """Tell something that stays on the screen; `act`: it is what we do, not what comes of it."""

    def draw(self, now: float, seconds: float, stats: ClusterStats, score: Score) -> None:
        """Show how things are; called several times a second."""


def _latency(node: NodeStats) -> str:
    return "" if node.latency is None else f"{node.latency * 1000:.1f} ms"


def strokes(options: ConsoleOptions) -> str:
    """What sparklines are drawn with, the first one for nothing at all."""
    return _ASCII_STROKES if options.ascii_only else _STROKES


def node_table(console: Console) -> Table:
    """An empty table of nodes, with the columns of `node_cells`."""
    plain = console.options.ascii_only or not console.is_terminal
    table = Table(box=box.ASCII if plain else box.ROUNDED, header_style="bold", expand=True)
    table.add_column("node", no_wrap=True)
    table.add_column("role", no_wrap=True, min_width=11)
    table.add_column("health", no_wrap=True, min_width=9)
    table.add_column("wins", justify="right", min_width=6)
    table.add_column("errors", justify="right")
    table.add_column("latency", justify="right", no_wrap=True, min_width=8)
    return table


def _role(node: NodeStats) -> str:
    """What it is, and of an old primary that it is not taken for one."""
    ignored = node.role is Role.PRIMARY and node.health is Health.UP and node.cause is not None and not node.avoided
    return "old primary" if ignored else str(node.role)


def node_cells(node: NodeStats) -> list[RenderableType]:
    """Name, role, health, wins, errors, latency."""
    health = Text(str(node.health), _STYLES[node.health])
    return [node.name, _role(node), health, f"{node.wins:,}", str(node.errors), _latency(node)]


class _Sparkline:
    """A node's wins over time: as much of the past as the column is wide."""

    def __init__(self, score: Score, node: str, now: float) -> None:
        self._score, self._node, self._now = score, node, now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        history = self._score.history(self._node, self._now, options.max_width)
        yield Text(sparkline(history, self._score.peak(), strokes(options)), "cyan", no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)


class Screen:
    """The live view: nodes and a progress bar at the bottom, events scrolling above."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def say(self, now: float, text: str, *, act: bool = False) -> None:
        line = Text.assemble((f"{now:5.1f} s  ", "dim"), (text, "bold magenta" if act else ""), no_wrap=True, overflow="ellipsis")
        self._console.print(line)

    def draw(self, now: float, seconds: float, stats: ClusterStats, score: Score) -> None:
        table = node_table(self._console)
        table.add_column("wins over time", no_wrap=True, ratio=1)
        for node in stats.nodes.values():
            table.add_row(*node_cells(node), _Sparkline(score, node.name, now))
        foot = Table.grid(padding=(0, 1), expand=True)
        foot.add_column(ratio=1)
        foot.add_column(justify="right", no_wrap=True)
        bar = ProgressBar(total=seconds, completed=min(now, seconds))
        foot.add_row(bar, f"{score.made:,} connects, {score.failed} failed; {score.written:,} writes, {score.unwritten} failed")
        self._live.update(Group(table, foot), refresh=True)


class Lines:
    """Plain text for pipes and logs: events as they come, and a line of numbers a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = 1.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def say(self, now: float, text: str, *, act: bool = False) -> None:
        self._print(now, f"*** {text}" if act else text)

    def draw(self, now: float, seconds: float, stats: ClusterStats, score: Score) -> None:
        if now >= self._next:
            self._next = int(now) + 1.0
            parts = ", ".join(f"{node.name} {node.health} {node.wins}" for node in stats.nodes.values())
            done = f"{score.made} connects, {score.failed} failed; {score.written} writes, {score.unwritten} failed"
            self._print(now, f"{now / seconds:4.0%}  {done} | {parts}")

    def _print(self, now: float, text: str) -> None:
        self._console.out(f"{now:5.1f} s  {text}", highlight=False)
        self._console.file.flush()


def make_view(console: Console) -> View:
    """The live view on a terminal, else lines."""
    return Screen(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)


def final_table(console: Console, stats: ClusterStats, score: Score, *, passed: bool) -> None:
    """Each node's wins, errors, latency and last error, and the verdicts."""
    table = node_table(console)
    table.add_column("last error", overflow="fold", ratio=1)
    for node in stats.nodes.values():
        table.add_row(*node_cells(node), Text(node.last_error_message or "-"))
    console.print(table)
    for line in (writes(score), verdict(score)):
        console.print(line, style="bold green" if passed else "bold red", highlight=False)
