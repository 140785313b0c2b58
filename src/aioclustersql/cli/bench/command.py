"""`aioclustersql bench` as a command: what is measured, and how it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...cluster import Cluster
from ...config import load
from ...observe.web.words import duration
from ..running import Exit, configured, console, finish, print_json, printable
from .measure import Result, connects, leases
from .spread import PERCENTILES

__all__ = ["bench_cluster"]

_BAR = 40


def bench_cluster(
    config: Path | None, *, seconds: float, workers: int, target: str | None, which: str | None, as_json: bool
) -> NoReturn:
    """Measure for `seconds` in all, and exit. `which`: "connects", "leases" or, with None, one after the other."""

    def make() -> Cluster[Any]:
        settings = load(config)
        over = {} if target is None else {"target": target}
        return Cluster(settings.nodes, **{**settings.options, **over})

    cluster = configured(make, as_json=as_json)
    chosen = [measure for measure in (connects, leases) if which in (None, measure.__name__)]

    async def work() -> int:
        async with cluster:
            results = [await measure(cluster, seconds / len(chosen), workers) for measure in chosen]
        if as_json:
            print_json({"workers": workers, "results": [result.as_dict() for result in results]})
        else:
            for result in results:
                _show(console(), result, workers)
        return Exit.FOUND if any(result.failed or not result.times.count for result in results) else Exit.OK

    finish(work)


def _show(out: Console, result: Result, workers: int) -> None:
    times = result.times
    rate = times.count / result.seconds
    out.print(Text(f"{times.count:,} {result.what}, {rate:,.0f} a second by {workers} at a time; {result.failed} failed", "bold"))
    if times.count:
        said = [f"p{percent:g} {duration(times.percentile(percent))}" for percent in PERCENTILES]
        out.print(Text(f"  {', '.join(said)}, max {duration(times.most)}"))
        shares = [f"{node} {count / times.count:.0%}" for node, count in sorted(result.nodes.items())]
        out.print(Text(f"  {', '.join(shares)}"))
        out.print(_histogram(result))
    for error, count in result.errors.most_common():
        out.print(Text(printable(f"  {count} x {error}"), "red"), soft_wrap=True)


def _histogram(result: Result) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    rows = result.times.rows()
    most = max(count for *_, count in rows)
    for _, end, count in rows:
        table.add_row(f"  to {duration(end)}", Bar(most, 0, count, width=_BAR, color="cyan"), f"{count:,}")
    return table
