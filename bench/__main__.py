"""The command: `python -m bench [ROW ...] [--quick] [--json FILE]`, which `make bench` calls.

Runs the rows one after another over servers of its own, which it stops, also on Ctrl-C. A row that fails says so in the report,
the others run on, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.rows import ROWS

__all__ = ["main"]

_OUT = Path(__file__).parent / "out"
_DRIVERS = ("aiomysql", "asyncpg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    if options.list:
        for name, what in ROWS.items():
            console.print(f"{name:9} {what}", highlight=False)
        return 0
    logging.getLogger("aioclustersql").setLevel(logging.ERROR)  # nodes are made ill here on purpose
    rows = [name for name in ROWS if name in options.rows or not options.rows]
    try:
        return _run(rows, options, console)
    except KeyboardInterrupt:
        console.print("interrupted; the servers are stopped")
        return 130


def _run(rows: Sequence[str], options: argparse.Namespace, console: Console) -> int:
    from bench.context import Context  # these need the peers, which --list does not
    from bench.environment import facts
    from bench.pictures import draw
    from bench.result import Report
    from bench.terminal import show

    drivers = [name for name in _DRIVERS if not options.driver or name in options.driver]
    with Context(
        lambda text: console.print(f"  {text}", highlight=False, markup=False), drivers=drivers, quick=options.quick
    ) as context:
        outcomes = [_one(name, context, console) for name in rows]
        report = Report(facts(context), outcomes)
    show(report, console)
    written = _write(report, options.out, options.json or options.out / "bench.json")
    written += draw(report, options.out)
    console.print("written: " + ", ".join(map(str, written)), soft_wrap=True, highlight=False)
    for outcome in outcomes:
        if outcome.failure is not None:
            console.print(f"the row {outcome.name} failed: {outcome.failure}", markup=False)
    return 1 if report.failed else 0


def _one(name: str, context: Any, console: Console) -> Any:
    from bench.result import Outcome
    from bench.rows import measure_of

    console.print(f"{name}: {ROWS[name]}", highlight=False)
    began = time.perf_counter()
    try:
        measure: Callable[[Any], Outcome] = measure_of(name)
        outcome = measure(context)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the other rows run on
        cause = exc.exceptions[0] if isinstance(exc, BaseExceptionGroup) else exc
        outcome = Outcome(name, ROWS[name], failure=f"{type(cause).__name__}: {cause}")
        console.print(f"  failed: {outcome.failure}", markup=False)
        if context.quick:
            console.print_exception()
    outcome.seconds = round(time.perf_counter() - began, 1)
    return outcome


def _write(report: Any, folder: Path, path: Path) -> list[Path]:
    from bench.markdown import document

    folder.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    markdown = folder / "bench.md"
    path.write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n")
    markdown.write_text(document(report))
    return [path, markdown]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure what connects and leases cost, beside the peers."
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="only these rows (default: all; --list names them)", type=_row)
    parser.add_argument("--list", action="store_true", help="name the rows, and measure nothing")
    parser.add_argument("--quick", action="store_true", help="a few samples of everything, to see that it works")
    parser.add_argument("--driver", action="append", choices=_DRIVERS, help="only this one (may be repeated)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go (default: bench.json in the folder)")
    parser.add_argument("--out", type=Path, default=_OUT, metavar="FOLDER", help="for what is written (default: bench/out)")
    return parser


def _row(text: str) -> str:
    if text not in ROWS:
        raise argparse.ArgumentTypeError(f"there is no row {text!r}; there are {', '.join(ROWS)}")
    return text


if __name__ == "__main__":
    sys.exit(main())
