"""Measures what a connect costs: the raw driver, ours, and naive races, over 1 to 30 nodes. `make bench` runs it.

Starts its own servers and stops them, also on Ctrl-C. How to read what it prints is in README.md beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from rich.console import Console

from bench import command
from bench.measure import Burst, Cell, burst, cold_burst, interleaved
from bench.picture import draw
from bench.report import Report, Results
from bench.stands import DRIVERS, ServerError, Stand, open_stand

_BURST_NODES, _BURST_CONNECTS = 3, 200
_COLD_NODES, _COLD_CONNECTS = 30, 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    drivers = list(dict.fromkeys(options.driver or DRIVERS))
    nodes = sorted(set(options.nodes))
    results = []
    try:
        for driver in drivers:
            with open_stand(driver, nodes[-1], autocommit=options.autocommit) as stand:
                behind = [stand.behind(count) for count in nodes]
                console.print(f"{driver}: {behind[-1]}", highlight=False)
                cells, bursts = asyncio.run(_measure(stand, nodes, options.rounds, console))
            results.append(Results(driver, behind, cells, bursts))
    except KeyboardInterrupt:
        console.print("interrupted; the servers are stopped")
        return 130
    except ServerError as exc:
        console.print(f"{exc}", markup=False)
        return 1
    report = Report(results, options.rounds, autocommit=options.autocommit)
    for table in report.tables():
        console.print(table)
    written = report.write(options.out)
    picture = options.out / "connect.png"
    if draw(report.rows, picture):
        written.append(picture)
    else:
        console.print("no picture: matplotlib is not installed")
    console.print("written: " + ", ".join(map(str, written)), soft_wrap=True, highlight=False)
    return 0


async def _measure(stand: Stand, nodes: Sequence[int], rounds: int, console: Console) -> tuple[list[Cell], list[Burst]]:
    cells: list[Cell] = []
    for count in nodes:
        found = await interleaved(stand, count, rounds)
        raw = found[0]
        said = ", ".join(f"{cell.way} {1e3 * cell.p50:.2f} ms" for cell in found)
        warm = f"warm is {found[1].p50 / raw.p50:.2f} x raw"
        console.print(f"  {count:2} nodes: {said}; {warm}", highlight=False)
        cells += found
    bursts: list[Burst] = []
    few = max(3, rounds // 6)
    if nodes[-1] >= _BURST_NODES:
        bursts += await burst(stand, _BURST_NODES, _BURST_CONNECTS, few)
    if nodes[-1] >= _COLD_NODES:
        bursts.append(await cold_burst(stand, _COLD_NODES, _COLD_CONNECTS, few))
    return cells, bursts


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("bench.connect", "what a connect costs", "rounds for each number of nodes")
    parser.add_argument("--nodes", type=_numbers, default=[1, 3, 10, 30], help="numbers of nodes (default: 1,3,10,30)")
    parser.add_argument("--autocommit", action="store_true", help="aiomysql with autocommit on, on both sides (default: off)")
    return parser


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.split(",")]
    if not all(1 <= number <= 250 for number in numbers):
        raise argparse.ArgumentTypeError("numbers of nodes from 1 to 250, please")
    return numbers


if __name__ == "__main__":
    sys.exit(main())
