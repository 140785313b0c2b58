"""Measures what a lease costs: our pool, and the pools of asyncpg, psycopg, SQLAlchemy and aiomysql. `make bench` runs it.

Starts its own servers and stops them, also on Ctrl-C. How to read what it prints is in README.md beside this file.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from rich.console import Console

from bench import command
from bench.laps import Game, Heat, race
from bench.pool_report import Report, Results
from bench.pools import Aiomysql, Asyncpg, Ours, Psycopg, PsycopgEntered, Sqlalchemy
from bench.stands import DRIVERS, ServerError, Stand, open_stand

_NODES = 3
_OFF = Game("acquire, reset off", 2000)
_FULL = Game("acquire, with reset", 200)
_ONE = Game("acquire, with reset, one connection", 200)
_QUERY_OFF = Game("20 tasks, reset off", 1000, tasks=20)
_QUERY_FULL = Game("20 tasks, with reset", 1000, tasks=20)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    options = command.parser("bench.pool", "what a lease costs", "laps of each pool in each game").parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    results = []
    try:
        for driver in dict.fromkeys(options.driver or DRIVERS):
            with open_stand(driver, _NODES, standbys=_NODES - 1) as stand:
                console.print(f"{driver}: {stand.behind(_NODES)}", highlight=False)
                heats = _heats(stand)
                asyncio.run(race(heats, options.rounds))
                results.append(Results(driver, [stand.behind(_NODES)], heats))
    except KeyboardInterrupt:
        console.print("interrupted; the servers are stopped")
        return 130
    except ServerError as exc:
        console.print(f"{exc}", markup=False)
        return 1
    report = Report(results, options.rounds)
    for table in report.tables():
        console.print(table)
    console.print("written: " + ", ".join(map(str, report.write(options.out))), soft_wrap=True, highlight=False)
    return 0


def _heats(stand: Stand) -> list[Heat]:
    """Who runs against whom, and what is promised."""
    off = [Ours(stand, reset=False), Ours(stand, reset=False, monitor=False), Ours(stand, _NODES, reset=False)]
    full = [Ours(stand, reset=True), Ours(stand, reset=True, monitor=False), Ours(stand, _NODES, reset=True)]
    alchemy_off, alchemy = Sqlalchemy(stand, reset=False), Sqlalchemy(stand, reset=True)
    if stand.driver == "aiomysql":
        aiomysql = Aiomysql(stand)
        return [
            Heat(_OFF, [*off, aiomysql, alchemy_off], {}),
            Heat(_FULL, [*full, aiomysql, alchemy], {}),
            Heat(_QUERY_OFF, [*off, aiomysql], {"aiomysql": 1.1}),
            Heat(_QUERY_FULL, [*full, aiomysql], {"aiomysql": 0.75}),
        ]
    psycopg, asyncpg_off, asyncpg = Psycopg(stand), Asyncpg(stand, reset=False), Asyncpg(stand, reset=True)
    return [
        Heat(_OFF, [*off, psycopg, PsycopgEntered(stand), asyncpg_off, alchemy_off], {psycopg.name: 1.0, "psycopg_pool": 1.0}),
        Heat(_FULL, [*full, asyncpg, alchemy], {"asyncpg": 1.1}),
        Heat(_ONE, [Ours(stand, reset=True, size=1), Asyncpg(stand, reset=True, size=1)], {"asyncpg": 1.1}),
        Heat(_QUERY_OFF, [*off, asyncpg_off], {"asyncpg": 1.0}),
        Heat(_QUERY_FULL, [*full, asyncpg], {"asyncpg": 0.95}),
    ]


if __name__ == "__main__":
    sys.exit(main())
