"""What the laps come to: rows, the project's targets beside them, and both as Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.laps import Heat
from bench.measure import ratio_interval
from bench.output import Target, at_least, at_most, cells, facts, table, targets_table, write

__all__ = ["Report", "Results"]

_PACKAGES = ("aiomysql", "asyncpg", "psycopg", "psycopg-pool", "sqlalchemy")
_LEASES = ("driver", "what", "pool", "resets", "µs", "CPU µs", "time: ours x it", "95 % of it")
_QUERIES = ("driver", "what", "pool", "resets", "per second", "CPU µs", "throughput: ours x it", "95 % of it")


@dataclass(frozen=True)
class Results:
    """What was measured for one driver."""

    driver: str
    behind: Sequence[str]
    heats: Sequence[Heat]


class Report:
    """All drivers' results, in three forms."""

    def __init__(self, results: Sequence[Results], rounds: int) -> None:
        self.rounds = rounds
        self.behind = {each.driver: each.behind for each in results}
        heats = [(each.driver, heat) for each in results for heat in each.heats]
        self.leases = [row for driver, heat in heats if heat.game.tasks == 1 for row in _leases(driver, heat)]
        self.queries = [row for driver, heat in heats if heat.game.tasks > 1 for row in _queries(driver, heat)]
        self.targets = [target for driver, heat in heats for target in _targets(driver, heat)]

    def tables(self) -> Iterable[Table]:
        """For the terminal."""
        yield table("Acquire and release, one after another, over 10 connections", _LEASES, map(cells, self.leases))
        yield table("SELECT 1 over 10 connections", _QUERIES, map(cells, self.queries))
        if self.targets:
            yield targets_table(self.targets)

    def write(self, folder: Path) -> list[Path]:
        """`pool.md` and `pool.json`; returns their paths."""
        about = facts(_PACKAGES, self.behind, self.rounds)
        data = {"leases": self.leases, "queries": self.queries, "targets": [vars(each) for each in self.targets]}
        return write(folder, "pool", "What a lease costs", self.tables(), about, data)


def _leases(driver: str, heat: Heat) -> Iterable[dict[str, Any]]:
    for laps in heat.laps:
        low, high = ratio_interval(heat.ours.times, laps.times)
        yield {
            "driver": driver,
            "what": heat.game.name,
            "pool": laps.pool.name,
            "resets": laps.pool.resets,
            "us": round(1e6 * laps.p50, 2),
            "cpu_us": round(1e6 * laps.p50_cpu, 2),
            "ours_x_it": round(heat.ours.p50 / laps.p50, 3),
            "ours_x_it_95": "" if laps is heat.ours else f"{low:.2f}-{high:.2f}",
        }


def _queries(driver: str, heat: Heat) -> Iterable[dict[str, Any]]:
    for laps in heat.laps:
        low, high = ratio_interval(laps.times, heat.ours.times)
        yield {
            "driver": driver,
            "what": heat.game.name,
            "pool": laps.pool.name,
            "resets": laps.pool.resets,
            "per_second": round(1 / laps.p50),
            "cpu_us": round(1e6 * laps.p50_cpu, 1),
            "ours_x_it": round(laps.p50 / heat.ours.p50, 3),
            "ours_x_it_95": "" if laps is heat.ours else f"{low:.2f}-{high:.2f}",
        }


def _targets(driver: str, heat: Heat) -> Iterable[Target]:
    for laps in heat.laps:
        limit = heat.limits.get(laps.pool.name)
        if limit is None:
            continue
        if heat.game.tasks == 1:
            yield at_most(driver, f"{heat.game.name}: time x {laps.pool.name}", heat.ours.p50 / laps.p50, limit)
        else:
            yield at_least(driver, f"{heat.game.name}: throughput x {laps.pool.name}", laps.p50 / heat.ours.p50, limit)
