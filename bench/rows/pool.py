"""What a lease costs, and `SELECT 1` by many tasks: our pool, and those of asyncpg, psycopg, SQLAlchemy, hasql and aiomysql.

Ours is a cluster of one node with its monitor on, as the first of each heat; without monitor, and over three nodes, it is there
for information.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.context import Context
from bench.cores import apart
from bench.figures import ratio_interval
from bench.laps import Game, Heat, race
from bench.pools import Aiomysql, Asyncpg, Hasql, Ours, Psycopg, PsycopgEntered, Sqlalchemy
from bench.result import Cell, Outcome, Table, Target, at_least, at_most, remarks
from bench.stands import Stand

__all__ = ["measure"]

_NODES = 3
_OFF = Game("acquire, reset off", 2000)
_FULL = Game("acquire, with reset", 200)
_ONE = Game("acquire, with reset, one connection", 200)
_QUERY_OFF = Game("20 tasks, reset off", 1000, tasks=20)
_QUERY_FULL = Game("20 tasks, with reset", 1000, tasks=20)
_LEASES = ("driver", "what", "pool", "resets", "µs", "CPU µs", "time: ours x it", "95 % of it")
_QUERIES = ("driver", "what", "pool", "resets", "per second", "CPU µs", "throughput: ours x it", "95 % of it")
_NO_RESET = "it leaves what the last user set in the session, and ours asks the server for a reset after each lease"
_APART = "In this row the libraries have one processor, one after another, and the servers have the others."
_REASONS: Mapping[str, Mapping[str, str]] = {
    _FULL.name: {
        "aiomysql": _NO_RESET,
        "SQLAlchemy": "it only rolls back",
        "asyncpg": "its reset keeps temporary tables and the role",
    },
    _ONE.name: {"asyncpg": "its reset keeps temporary tables and the role, and ours drops them"},
    _QUERY_FULL.name: {"aiomysql": _NO_RESET, "asyncpg": "its reset keeps temporary tables and the role, and ours drops them"},
}
"""What is known of why a peer may be better, by game."""


def measure(context: Context) -> Outcome:
    """The row."""
    outcome = Outcome("pool", "What a lease costs")
    leases: list[Sequence[Cell]] = []
    queries: list[Sequence[Cell]] = []
    for driver in context.drivers:
        with context.apart(driver) as stand:
            heats = _heats(stand)
            context.run(race(heats, context.times(30, 2)))
        for heat in heats:
            (leases if heat.game.tasks == 1 else queries).extend(_rows(driver, heat))
            outcome.targets += _targets(driver, heat)
            outcome.remarks += _remarks(driver, heat)
        context.say(f"{driver}: " + ", ".join(f"{heat.game.name} {1e6 * heat.ours.p50:.1f} µs" for heat in heats))
    outcome.tables = [
        Table(
            "Acquire and release, one after another, over 10 connections",
            _LEASES,
            leases,
            "*resets*: what is done to a connection that comes back. Ours leaves nothing but what PREPARE has prepared.",
        ),
        Table("SELECT 1 over 10 connections", _QUERIES, queries, _APART if apart() else ""),
    ]
    return outcome


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
    psycopg, asyncpg_off, asyncpg, hasql = (
        Psycopg(stand),
        Asyncpg(stand, reset=False),
        Asyncpg(stand, reset=True),
        Hasql([stand.url(0)]),
    )
    return [
        Heat(_OFF, [*off, psycopg, PsycopgEntered(stand), asyncpg_off, alchemy_off], {psycopg.name: 1.0, "psycopg_pool": 1.0}),
        Heat(_FULL, [*full, asyncpg, alchemy, hasql], {"asyncpg": 1.1}),
        Heat(_ONE, [Ours(stand, reset=True, size=1), Asyncpg(stand, reset=True, size=1)], {"asyncpg": 1.1}),
        Heat(_QUERY_OFF, [*off, asyncpg_off], {"asyncpg": 1.0}),
        Heat(_QUERY_FULL, [*full, asyncpg, hasql], {"asyncpg": 0.95}),
    ]


def _rows(driver: str, heat: Heat) -> list[Sequence[Cell]]:
    made: list[Sequence[Cell]] = []
    for laps in heat.laps:
        ours, its = (heat.ours, laps) if heat.game.tasks == 1 else (laps, heat.ours)
        low, high = ratio_interval(ours.times, its.times)
        figure = 1e6 * laps.p50 if heat.game.tasks == 1 else round(1 / laps.p50)
        interval = None if laps is heat.ours else f"{low:.2f}-{high:.2f}"
        name = laps.pool.name
        made.append([driver, heat.game.name, name, laps.pool.resets, figure, 1e6 * laps.p50_cpu, ours.p50 / its.p50, interval])
    return made


def _targets(driver: str, heat: Heat) -> list[Target]:
    made = []
    for laps in heat.laps:
        limit = heat.limits.get(laps.pool.name)
        if limit is None:
            continue
        if heat.game.tasks == 1:
            made.append(at_most(f"{driver}, {heat.game.name}: time", heat.ours.p50 / laps.p50, limit, f" x {laps.pool.name}"))
        else:
            made.append(
                at_least(f"{driver}, {heat.game.name}: throughput", laps.p50 / heat.ours.p50, limit, f" x {laps.pool.name}")
            )
    return made


def _remarks(driver: str, heat: Heat) -> list[str]:
    peers = {laps.pool.name: laps.p50 for laps in heat.laps if not isinstance(laps.pool, Ours)}
    return remarks(f"{driver}, {heat.game.name}", heat.ours.p50, peers, _REASONS.get(heat.game.name, {}))
