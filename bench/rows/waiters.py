"""Ten to ten thousand callers at once for ten connections: what each request costs when the queue is long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.context import Context
from bench.elastic import OURS, makers
from bench.result import Cell, Curve, Outcome, Table, remarks
from bench.stands import Stand

__all__ = ["measure"]

_SIZE = 10
_CALLERS = (10, 100, 1_000, 10_000)
_HEAD = ("driver", "callers", "pool", "µs each", "CPU µs each", "x its cost at 10")
_NO_RESET = "it resets nothing, and ours asks the server for a reset after each lease"
_REASONS = {
    "aiomysql": _NO_RESET,
    "psycopg_pool": _NO_RESET,
    "SQLAlchemy": "it only rolls back, and ours resets all of the session",
    "asyncpg": "its reset keeps temporary tables and the role, and ours drops them",
}


def measure(context: Context) -> Outcome:
    """The row."""
    outcome = Outcome("waiters", "10 to 10,000 waiters")
    numbers = _CALLERS[: context.times(4, 3)]
    longest = numbers[-1]
    rows: list[Sequence[Cell]] = []
    for driver in context.drivers:
        found = context.run(_measure(context.stand(driver), numbers, context.times(3, 1)))
        for callers in numbers:
            for name, by_callers in found.items():
                seconds, cpu = (median(figures) for figures in zip(*by_callers[callers], strict=True))
                first = median(each for each, _ in by_callers[numbers[0]])
                rows.append([driver, callers, name, 1e6 * seconds, 1e6 * cpu, seconds / first])
        each = {name: median(s for s, _ in by_callers[longest]) for name, by_callers in found.items()}
        context.say(f"{driver}, {longest:,} callers: " + ", ".join(f"{name} {1e6 * s:.0f} µs each" for name, s in each.items()))
        ours = each.pop(OURS)
        outcome.remarks += remarks(f"{driver}, {longest:,} callers, time each", ours, each, _REASONS)
        for name, by_callers in found.items():
            points = [(callers, round(1e6 * median(s for s, _ in by_callers[callers]), 2)) for callers in numbers]
            outcome.curves.append(Curve(f"waiters/{driver}", name, points))
    note = f"Each caller, a task, waits for one of {_SIZE} connections, asks `SELECT 1` and gives it back; all resets are on."
    outcome.tables = [Table("Time of the whole by the number of callers", _HEAD, rows, note)]
    return outcome


async def _measure(stand: Stand, numbers: Sequence[int], rounds: int) -> dict[str, dict[int, list[tuple[float, float]]]]:
    """By pool and number of callers: seconds and CPU seconds of each request."""
    found: dict[str, dict[int, list[tuple[float, float]]]] = {}
    pools = {name: await make([stand.url(0)], _SIZE, _SIZE) for name, make in makers(stand.driver).items()}
    try:
        for name, pool in pools.items():
            await _all(pool, _SIZE * _SIZE)  # unmeasured
            found[name] = {callers: [] for callers in numbers}
        for callers in numbers:
            for _ in range(rounds):
                for name, pool in pools.items():
                    repeats = max(1, 500 // callers)
                    cpu, began = time.process_time(), time.perf_counter()
                    for _ in range(repeats):
                        await _all(pool, callers)
                    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
                    found[name][callers].append((seconds / callers / repeats, spent / callers / repeats))
    finally:
        for pool in pools.values():
            await pool.close()
    return found


async def _all(pool: Any, callers: int) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(_request(pool))


async def _request(pool: Any) -> None:
    async with pool.lease() as conn:
        await pool.ask(conn, "SELECT 1")
