"""The parts of the pages in docs/ that are made from the code: a function for each, which returns a table in Markdown.

Where they stand is in `render_docs`. Rule: no number and no rule is written here, only the words around them.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping

import asyncpg

from aioclustersql import Cluster, events
from aioclustersql.drivers.mysql.errors import classify_code
from aioclustersql.drivers.postgres.errors import classify_sqlstate
from aioclustersql.failure import FailureKind
from aioclustersql.node import Health, Role, Target
from aioclustersql.policy import backoff, health, latency, ledger, racing, ranking, retry, roundtrip, verdict
from aioclustersql.policy.health import Signal
from aioclustersql.policy.ranking import Fit
from aioclustersql.policy.retry import Action
from aioclustersql.policy.verdict import Verdict, Window
from aioclustersql.runtime import begun, keeper, opener, returner

__all__ = [
    "connecting",
    "failures",
    "frequencies",
    "happenings",
    "retries",
    "running",
    "serving",
    "targets",
    "transitions",
    "verdicts",
    "writers",
]

_FIT = {Fit.YES: "yes", Fit.FALLBACK: "if nothing better answers", Fit.NO: "no"}
_SIGNALS = {
    Signal.SUCCESS: "success",
    Signal.SOFT_FAILURE: "soft failure",
    Signal.LIMIT: f"soft failure number {health.SOFT_LIMIT} in a row",
    Signal.HARD_FAILURE: "hard failure",
    Signal.PROBE: "open time over",
}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _seconds(value: float) -> str:
    return f"{value:g} s" if value >= 1 else f"{1000 * value:g} ms"


def _numbers(rows: Iterable[tuple[str, str, str]]) -> str:
    return _table(["what", "value", "name"], ([what, value, f"`{name}`"] for what, value, name in rows))


def targets() -> str:
    """Which role serves which target."""
    rows = [[f"`{target}`", *(_FIT[ranking.fit(role, target)] for role in Role)] for target in Target]
    return _table(["target", *(str(role) for role in Role)], rows)


def transitions() -> str:
    """The breaker: rows are states, columns are what happens."""
    rows = [
        [f"**{state}**", *(str(after) if (after := health.TABLE.get((state, signal))) else "-" for signal in Signal)]
        for state in Health
    ]
    return _table(["state", *(_SIGNALS[signal] for signal in Signal)], rows)


def failures() -> str:
    """What a failed login says about its node."""
    said: dict[str, list[str]] = {}
    for kind in FailureKind:
        signal, pause = health.login_signal(kind), health.avoid_for(kind)
        if signal is None and not pause:
            continue
        words = ["nothing" if signal is None else _SIGNALS[signal]]
        words += [f"last in the order for {_seconds(pause)}"] if pause else []
        said.setdefault(", ".join(words), []).append(str(kind))
    return _table(["it counts as", "kinds of failure"], ([word, ", ".join(kinds)] for word, kinds in said.items()))


def connecting() -> str:
    """Every number of the page about connects, with its name in the code."""
    rows = (
        ("hedge delay, at least", _seconds(racing.HEDGE_MIN), "racing.HEDGE_MIN"),
        ("hedge delay, at most", _seconds(racing.HEDGE_MAX), "racing.HEDGE_MAX"),
        ("hedges, as a part of the connects", f"{racing.HedgeBudget.RATE:.0%}", "racing.HedgeBudget.RATE"),
        ("hedges that may be saved up", f"{racing.HedgeBudget.MOST:g}", "racing.HedgeBudget.MOST"),
        ("failover delay", _seconds(racing.FAILOVER), "racing.FAILOVER"),
        ("either delay, at most, under our own load", _seconds(racing.DELAY_MAX), "racing.DELAY_MAX"),
        ("latencies that count as equal, factor", f"{ranking.BAND:g}", "ranking.BAND"),
        ("latencies that count as equal, difference", _seconds(ranking.NOISE), "ranking.NOISE"),
        ("weight of a new sample in the estimate", f"{latency.ALPHA:g}", "latency.ALPHA"),
        ("a sample counts at most this many times the estimate", f"{latency.CAP:g}", "latency.CAP"),
        ("more logins of ours at once on a node are a crowd", f"{latency.CROWD}", "latency.CROWD"),
        ("logins that a percentile is taken from", f"{latency.WINDOW}", "latency.WINDOW"),
        ("none of them older than", _seconds(latency.WINDOW_AGE), "latency.WINDOW_AGE"),
        ("fewer than these say nothing", f"{latency.MIN_SAMPLES}", "latency.MIN_SAMPLES"),
        ("grace of a login that lost, at least", _seconds(latency.GRACE_MIN), "latency.GRACE_MIN"),
        ("soft failures in a row that open the breaker", f"{health.SOFT_LIMIT}", "health.SOFT_LIMIT"),
        ("first open time, doubled each time", _seconds(health.OPEN_FIRST), "health.OPEN_FIRST"),
        ("open time, at most", _seconds(health.OPEN_MAX), "health.OPEN_MAX"),
    )
    return _numbers(rows)


def writers() -> str:
    """What a Galera node serves, with and without an election."""
    seen = {"every node, `writers=None`": None, "an elected node": True, "a node that is not elected": False}
    fits = {label: ranking.fits(Role.PEER, writer=writer) for label, writer in seen.items()}
    rows = [[f"`{target}`", *(_FIT[each[target]] for each in fits.values())] for target in Target]
    return _table(["target", *seen], rows)


_VERDICTS = {
    Verdict.LATE: "void: our loop was blocked; the time begins anew",
    Verdict.ALIVE: "slow, and alive: asked on, nobody is cut off",
    Verdict.OURSELVES: "it may be us: once more, for twice as long",
    Verdict.SILENT: "**silent**: down, and what is open there is cut off",
}


def verdicts() -> str:
    """What the monitor concludes when the time is over without an answer."""
    window = Window(0.0, 1.0)
    longer = window.longer(0.0)
    never, after = -1.0, 2.0 * verdict.LATE
    cases = (
        ("our timer woke late", window, after, never, never),
        ("something came from the node meanwhile", window, 0.0, window.half, never),
        ("nothing came from it, nor from any other node", window, 0.0, never, never),
        ("the same again, in twice the time", longer, 0.0, never, never),
        ("nothing came from it, and another node was heard", window, 0.0, never, window.half),
    )
    rows = []
    for what, each, late, heard, others in cases:
        found = verdict.judge(each, each.end + late, heard=heard, others_heard=others)
        rows.append([what, _VERDICTS[found]])
    return _table(["when the time is over", "verdict"], rows)


def frequencies() -> str:
    """How often a node is asked, with the default interval."""
    interval = _default("monitor_interval")
    begin, later = 0.0, verdict.FASTEST_FOR
    rows = (
        ("all is quiet", verdict.pause(interval, down_for=None, unsettled_for=None)),
        ("something is unsettled", verdict.pause(interval, down_for=None, unsettled_for=begin)),
        (f"... for more than {_seconds(later)}", verdict.pause(interval, down_for=None, unsettled_for=later)),
        (
            f"the node is down, none serves, for {_seconds(verdict.MISSED_FOR)}",
            verdict.pause(interval, down_for=begin, unsettled_for=begin, missed=True),
        ),
        ("the node is down", verdict.pause(interval, down_for=begin, unsettled_for=None)),
        (f"... for more than {_seconds(later)}", verdict.pause(interval, down_for=later, unsettled_for=None)),
    )
    return _table(["when", "one question each"], ([when, _seconds(every)] for when, every in rows))


def _default(keyword: str) -> float:
    return float(inspect.signature(Cluster).parameters[keyword].default)


def serving() -> str:
    """Every number of the page about the pool and the monitor, with its name in the code."""
    return _numbers(
        (
            ("time between two questions, when all is quiet", _seconds(_default("monitor_interval")), "monitor_interval"),
            ("time for an answer", _seconds(_default("monitor_timeout")), "monitor_timeout"),
            ("a timer that wakes so much later voids the verdict", _seconds(verdict.LATE), "verdict.LATE"),
            ("after a change, others may change too for", _seconds(verdict.RECENT), "verdict.RECENT"),
            ("a login to a silent node is renewed after", _seconds(verdict.RENEW), "verdict.RENEW"),
            (f"after {verdict.RENEWALS} of these", _seconds(verdict.RENEW_LATER), "verdict.RENEW_LATER"),
            ("round trips that count as equal, factor", f"{roundtrip.BAND:g}", "roundtrip.BAND"),
            ("round trips that count as equal, difference", _seconds(roundtrip.NOISE), "roundtrip.NOISE"),
            ("answers in a row that move the estimate at once", f"{roundtrip.IN_A_ROW}", "roundtrip.IN_A_ROW"),
            ("logins under way for the pool, per node, at most", f"{ledger.LOGINS}", "ledger.LOGINS"),
            ("a login takes so many times what is usual: another beside it", f"{opener.SLOW:g}", "opener.SLOW"),
            ("lifetimes and idle times are shortened by up to", f"{ledger.JITTER:.0%}", "ledger.JITTER"),
            (
                "a connection idle for so long is asked before it is leased",
                _seconds(returner.CHECK_AFTER),
                "returner.CHECK_AFTER",
            ),
            ("time for a reset or that question", _seconds(returner.PATIENCE), "returner.PATIENCE"),
            ("a pause after a failed login, and between two races of `wait=True`", _seconds(backoff.FIRST), "backoff.FIRST"),
            ("an eighth of the time for which it has failed, at most", _seconds(backoff.MAX), "backoff.MAX"),
            ("time between two moves of a connection to an emptier node", _seconds(keeper.MOVE), "keeper.MOVE"),
            ("with `debug`, a lease is reported after", _seconds(keeper.LONG_LEASE), "keeper.LONG_LEASE"),
        )
    )


_ACTIONS = {
    Action.SURFACE: "raised",
    Action.AGAIN: "again",
    Action.ELSEWHERE: "again, elsewhere",
    Action.RECONNECT: "again, at once",
    Action.SAME_CONNECTION: "again, same connection",
    Action.UNKNOWN: "**unknown**",
}
_MEANINGS = {
    FailureKind.CONFIGURATION: "wrong password, no such database, TLS refused",
    FailureKind.OVERLOADED: "the server has no connection left",
    FailureKind.HOST_BLOCKED: "the server has blocked this host",
    FailureKind.UNREACHABLE: "nobody serves there now",
    FailureKind.NOT_READY: "a Galera node outside the primary component",
    FailureKind.TIMEOUT: "no answer in the driver's own time",
    FailureKind.SESSION_LOST: "the connection is gone",
    FailureKind.IDLE_CLOSED: "the server closed a connection for being idle",
    FailureKind.FOUND_CLOSED: "it was closed before anything was sent",
    FailureKind.ROLE_CHANGED: "the node takes no writes any more",
    FailureKind.ROLLED_BACK: "deadlock, serialization failure, Galera conflict",
    FailureKind.TRANSACTION_ENDED: "the server's own time for transactions is over",
    FailureKind.LOCK_TIMEOUT: "a lock was not had in time",
    FailureKind.INTERRUPTED: "cancelled or timed out on purpose",
    FailureKind.STALE_PLAN: "a cached plan no longer fits the schema",
    FailureKind.OUTCOME_UNKNOWN: "the server itself does not know",
    FailureKind.OTHER: "all else: the statement's own fault, or the unit's",
}
_FEW = 6
"""More codes than these are not listed: they say no more than the words."""


def retries() -> str:
    """What each failure allows, by how far the unit had come."""
    codes = _codes()
    rows = []
    for kind, actions in retry.TABLE.items():
        known = ", ".join(codes[kind]) if len(codes[kind]) <= _FEW else ""
        rows.append([_MEANINGS[kind] + (f" ({known})" if known else ""), *(_ACTIONS[each] for each in actions)])
    return _table(["failure", "of BEGIN", "in the unit", "of COMMIT"], rows)


def _codes() -> Mapping[FailureKind, list[str]]:
    """The codes of each meaning: MySQL's numbers, then SQLSTATEs of those that asyncpg knows."""
    found: dict[FailureKind, list[str]] = {kind: [] for kind in FailureKind}
    for code in range(1000, 5000):
        if (kind := classify_code(code, "read-only")) is not None:
            found[kind].append(str(code))
    states = {getattr(each, "sqlstate", None) for each in vars(asyncpg.exceptions).values()}
    for state in sorted(each for each in states if isinstance(each, str)):
        found[classify_sqlstate(state)].append(state)
    return found


def running() -> str:
    """Every number of the page about transactions, with its name in the code."""
    return _numbers(
        (
            ("runs of one unit, at most", f"{_default('attempts'):g}", "attempts"),
            ("time for all of them", _seconds(_default("run_timeout")), "run_timeout"),
            ("pause before the second run, up to", _seconds(retry.PAUSE_FIRST), "retry.PAUSE_FIRST"),
            ("doubled each time, at most", _seconds(retry.PAUSE_MAX), "retry.PAUSE_MAX"),
            ("the same between two BEGINs, at most", _seconds(retry.BEGIN_PAUSE_MAX), "retry.BEGIN_PAUSE_MAX"),
            ("repeated runs that are paid for at the beginning", f"{retry.RESERVE:g}", "retry.RESERVE"),
            ("and that each call of `run` pays for", f"{retry.DEPOSIT:g}", "retry.DEPOSIT"),
            ("time for a rollback; then the connection is closed", _seconds(begun.ROLLBACK), "begun.ROLLBACK"),
            ("the same after the time-out", _seconds(begun.ROLLBACK_LATE), "begun.ROLLBACK_LATE"),
        )
    )


def happenings() -> str:
    """Every event: its fields, and when it comes."""
    rows = []
    for name in events.__all__:
        event = getattr(events, name)
        if dataclasses.is_dataclass(event) and event is not events.Event:
            own = [each.name for each in dataclasses.fields(event) if each.name not in ("at", "cluster")]
            rows.append([f"`{name}`", ", ".join(f"`{each}`" for each in own), " ".join((inspect.getdoc(event) or "").split())])
    return _table(["event", "fields", "when"], rows)
