"""What importing costs a process that starts: time, modules and memory, ours with a driver beside the peers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

from bench.context import Context
from bench.result import Cell, Outcome, Table, remarks

__all__ = ["measure"]

_IMPORTS = {
    "asyncio alone": "asyncio",
    "aioclustersql": "aioclustersql",
    "aioclustersql + asyncpg": "aioclustersql, asyncpg",
    "aioclustersql + aiomysql": "aioclustersql, aiomysql",
    "asyncpg": "asyncpg",
    "aiomysql": "aiomysql",
    "psycopg + psycopg_pool": "psycopg, psycopg_pool",
    "hasql + asyncpg": "hasql.asyncpg",
    "SQLAlchemy + asyncpg": "sqlalchemy.ext.asyncio, asyncpg",
    "mysql-connector": "mysql.connector.aio",
}
_PROGRAM = """
import sys, time
began = time.perf_counter()
import asyncio, {names}
seconds = time.perf_counter() - began
import json, os
pages = int(open("/proc/self/statm").read().split()[1])
print(json.dumps([seconds, len(sys.modules), pages * os.sysconf("SC_PAGE_SIZE")]))
"""
_HEAD = ("imported", "ms", "modules", "MiB resident")
_REASONS = {
    "": "ours is some eighty modules of Python more, which the interpreter reads one by one",
}


def measure(context: Context) -> Outcome:
    """The row."""
    found: dict[str, list[list[float]]] = {name: [] for name in _IMPORTS}
    for number in range(context.times(15, 1) + 1):
        for name, names in _IMPORTS.items():
            figures = _import(names)
            if number:  # the first time fills the caches of the disk and of the byte code
                found[name].append(figures)
    medians = {name: [median(column) for column in zip(*runs, strict=True)] for name, runs in found.items()}
    rows: list[Sequence[Cell]] = [
        [name, 1e3 * seconds, round(modules), resident / 2**20] for name, (seconds, modules, resident) in medians.items()
    ]
    context.say(", ".join(f"{name} {1e3 * figures[0]:.0f} ms" for name, figures in medians.items()))
    ours = "aioclustersql + asyncpg"
    peers = {name: medians[name][0] for name in ("asyncpg", "psycopg + psycopg_pool", "hasql + asyncpg", "SQLAlchemy + asyncpg")}
    return Outcome(
        "imports",
        "What importing costs",
        tables=[Table("Until the module is imported", _HEAD, rows, "A new interpreter each time; medians.")],
        remarks=remarks(f"import of {ours}", medians[ours][0], peers, _REASONS),
    )


def _import(names: str) -> list[float]:
    command = [sys.executable, "-c", _PROGRAM.format(names=names)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    figures: list[float] = json.loads(done.stdout)
    return figures
