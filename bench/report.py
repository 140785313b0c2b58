"""What the samples come to: rows, the project's targets beside them, and both as Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from rich.table import Table

from bench.measure import Burst, Cell, ratio_interval
from bench.output import Target, at_most, cells, facts, table, targets_table, write

__all__ = ["Report", "Results"]

_HEAD = ("driver", "nodes", "way", "p50 ms", "p99 ms", "CPU ms", "time x raw", "95 % of it", "CPU x raw", "logins", "connects")
_WARM = {"asyncpg": 1.10, "aiomysql": 1.45}
"""How much a warm connect may cost, in raw ones: aiomysql's has a statement more to see that the node serves."""
_CPU, _LOGINS, _BURST, _BURST_LOGINS = 1.25, 1.05, 1.15, 1.05
_NAIVE = (9.0, 19.0)
_JUDGED = (3, 30)
_COLD_EXTRA = 55


@dataclass(frozen=True)
class Results:
    """What was measured for one driver."""

    driver: str
    behind: Sequence[str]
    cells: Sequence[Cell]
    bursts: Sequence[Burst]


class Report:
    """All drivers' results, in three forms."""

    def __init__(self, results: Sequence[Results], rounds: int, *, autocommit: bool) -> None:
        self.results = results
        self.rounds = rounds
        self.autocommit = autocommit
        self.rows = [row for each in results for row in _rows(each)]
        self.bursts = [row for each in results for row in _burst_rows(each)]
        self.targets = [target for each in results for target in _targets(each)]

    @property
    def facts(self) -> dict[str, Any]:
        """Where and with what it was measured."""
        behind = {each.driver: each.behind for each in self.results}
        return {**facts(behind, behind, self.rounds), "aiomysql_autocommit": self.autocommit}

    def tables(self) -> Iterable[Table]:
        """For the terminal."""
        yield table("One connect after another", _HEAD, map(cells, self.rows))
        if self.bursts:
            head = ("driver", "what", "ms", "x raw", "logins", "nodes unwell")
            yield table("At the same time", head, map(cells, self.bursts))
        if self.targets:
            yield targets_table(self.targets)

    def write(self, folder: Path) -> list[Path]:
        """`connect.md` and `connect.json`; returns their paths."""
        data = {"rows": self.rows, "bursts": self.bursts, "targets": [vars(each) for each in self.targets]}
        return write(folder, "connect", "What a connect costs", self.tables(), self.facts, data)


def _rows(results: Results) -> Iterable[dict[str, Any]]:
    raws = {cell.nodes: cell for cell in results.cells if cell.way == "raw"}
    for cell in results.cells:
        raw = raws[cell.nodes]
        low, high = ratio_interval(cell.times, raw.times)
        yield {
            "driver": results.driver,
            "nodes": cell.nodes,
            "way": cell.way,
            "p50_ms": round(1e3 * cell.p50, 3),
            "p99_ms": round(1e3 * cell.p99, 3),
            "cpu_ms": round(1e3 * cell.p50_cpu, 3),
            "time_ratio": round(cell.p50 / raw.p50, 3),
            "time_ratio_95": "" if cell is raw else f"{low:.2f}-{high:.2f}",
            "cpu_ratio": round(cell.p50_cpu / raw.p50_cpu, 3),
            "logins": round(cell.mean_logins, 3),
            "connects": len(cell.times),
        }


def _burst_rows(results: Results) -> Iterable[dict[str, Any]]:
    raw = {burst.nodes: burst for burst in results.bursts if burst.way == "raw"}
    for burst in results.bursts:
        cold = burst.way == "cold"
        each = f"{max(burst.logins)} at most" if cold else f"{mean(burst.logins) / burst.connects:.3f} each"
        yield {
            "driver": results.driver,
            "what": f"{burst.connects} {burst.way} connects over {burst.nodes} nodes",
            "ms": round(1e3 * burst.p50, 1),
            "time_ratio": "" if cold else round(burst.p50 / raw[burst.nodes].p50, 3),
            "logins": each,
            "unwell": burst.unwell,
        }


def _targets(results: Results) -> Iterable[Target]:
    driver = results.driver
    rows = {(row["way"], row["nodes"]): row for row in _rows(results)}
    for nodes in _JUDGED:
        if ("warm", nodes) not in rows:
            continue
        row = rows["warm", nodes]
        yield at_most(driver, f"warm, {nodes} nodes: time x raw", row["time_ratio"], _WARM[driver])
        yield at_most(driver, f"warm, {nodes} nodes: CPU x raw", row["cpu_ratio"], _CPU)
        yield at_most(driver, f"warm, {nodes} nodes: logins each", row["logins"], _LOGINS)
        yield at_most(driver, f"stagger=0, {nodes} nodes: logins each", rows["stagger=0", nodes]["logins"], float(nodes))
    if ("naive", 30) in rows:
        ratio, (low, high) = rows["naive", 30]["time_ratio"], _NAIVE
        yield Target(driver, "naive, 30 nodes: time x raw", f"{low:g}-{high:g}", f"{ratio:.2f}", met=low <= ratio <= high)
    bursts = {burst.way: burst for burst in results.bursts}
    if "warm" in bursts:
        warm = bursts["warm"]
        what = f"{warm.connects} warm at once, {warm.nodes} nodes"
        yield at_most(driver, f"{what}: time x raw", warm.p50 / bursts["raw"].p50, _BURST)
        yield at_most(driver, f"{what}: logins each", mean(warm.logins) / warm.connects, _BURST_LOGINS)
        yield at_most(driver, f"{what}: breakers moved", warm.unwell, 0)
    if "cold" in bursts:
        cold = bursts["cold"]
        what = f"{cold.connects} cold at once, {cold.nodes} nodes: logins in all"
        yield at_most(driver, what, max(cold.logins), cold.nodes + _COLD_EXTRA)
