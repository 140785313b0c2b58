"""The command line that all benchmarks have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.stands import DRIVERS

__all__ = ["parser"]

_OUT = Path(__file__).parent / "out"


def parser(module: str, what: str, rounds: str) -> argparse.ArgumentParser:
    """With `--driver`, `--rounds` and `--out`; `what` and `rounds` say what is measured, and what a round is."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=f"Measure {what}.")
    made.add_argument("--driver", action="append", choices=DRIVERS, help="only this one (may be repeated)")
    made.add_argument("--rounds", type=_positive, default=40, help=f"{rounds} (default: 40)")
    made.add_argument("--out", type=Path, default=_OUT, help="folder for what is written (default: bench/out)")
    return made


def _positive(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1_000_000:
        raise argparse.ArgumentTypeError("a number from 1 on, please")
    return number
