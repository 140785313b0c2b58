"""What an idle and a leased connection weigh: memory and CPU of the client, each pool in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.context import Context
from bench.elastic import OURS, makers
from bench.result import Cell, Outcome, Table, remarks

__all__ = ["measure"]

_ROOT = Path(__file__).parents[2]
_COUNT, _QUICK_COUNT = 50, 10
_HEAD = ("driver", "pool", "KiB idle", "KiB leased", "CPU µs/s idle", "CPU µs/s leased")
_REASONS = {
    "memory": "ours keeps what each session is to be reset to, and has one connection more for the monitor",
    "CPU": "ours has a monitor that asks the server every second, and looks after ages and sizes",
}


def measure(context: Context) -> Outcome:
    """The row."""
    outcome = Outcome("weight", "What a connection weighs")
    rows: list[Sequence[Cell]] = []
    count = context.times(_COUNT, _QUICK_COUNT)
    for driver in context.drivers:
        url = context.stand(driver).url(0)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in makers(driver)}
        for _ in range(context.times(3, 1)):
            for name in found:
                found[name].append(_weigh(name, url, count, 0.3 if context.quick else 2.0))
        each = {name: _medians(runs) for name, runs in found.items()}
        for name, figures in each.items():
            memory = (figures["idle"] / 1024, figures["leased"] / 1024)
            rows.append([driver, name, *memory, 1e6 * figures["idle_cpu"], 1e6 * figures["leased_cpu"]])
        context.say(f"{driver}: " + ", ".join(f"{name} {f['idle'] / 1024:.0f} KiB" for name, f in each.items()))
        ours = each.pop(OURS)
        for what, figure in (("memory", "idle"), ("CPU", "idle_cpu")):
            others = {name: figures[figure] for name, figures in each.items()}
            outcome.remarks += remarks(f"{driver}, {what} of an idle connection", ours[figure], others, {"": _REASONS[what]})
    note = (
        f"Of each of {count} connections to one node: resident memory above that of the process with no pool, and CPU in "
        "each second in which nothing is asked. The monitor's part belongs to the node, not to its connections."
    )
    outcome.tables = [Table("Each connection", _HEAD, rows, note)]
    return outcome


def _weigh(name: str, url: str, count: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.footprint", name, url, str(count), str(seconds)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
    return {what: float(figure) for what, figure in json.loads(done.stdout).items()}


def _medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {what: median(run[what] for run in runs) for what in runs[0]}
