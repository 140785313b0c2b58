#!/usr/bin/env python3
"""Write the tables of docs/how-it-connects.md anew from the policies' own tables and constants; --check only compares.

A part of the page between `<!-- NAME -->` and `<!-- end -->` belongs to the function of that name here; the rest is written by
hand. Run it with the project's environment: .venv/bin/python scripts/render_docs.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from aioclustersql.failure import FailureKind
from aioclustersql.node import Health, Role, Target
from aioclustersql.policy import health, latency, racing, ranking
from aioclustersql.policy.health import Signal
from aioclustersql.policy.ranking import Fit

__all__ = ["PAGE", "render"]

PAGE = Path(__file__).parents[1] / "docs" / "how-it-connects.md"

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


def constants() -> str:
    """Every number of the page, with the name it has in src/aioclustersql/policy."""
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
    return _table(["what", "value", "name"], ([what, value, f"`{name}`"] for what, value, name in rows))


_PARTS: Mapping[str, Callable[[], str]] = {part.__name__: part for part in (targets, transitions, failures, constants)}


def render(page: str) -> str:
    """`page` with every generated part as it should be now. Raises `ValueError` for a part that the page lacks."""
    for name, part in _PARTS.items():
        head, start, rest = page.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        if not end:
            raise ValueError(f"the page has no part <!-- {name} --> ... <!-- end -->")
        page = f"{head}{start}{part()}\n{end}{tail}"
    return page


def main(arguments: list[str]) -> str | None:
    """Write the page, or say what is wrong with it."""
    old = PAGE.read_text()
    new = render(old)
    if old == new:
        return None
    if arguments == ["--check"]:
        return f"{PAGE} is out of date: run {Path(__file__).name}"
    PAGE.write_text(new)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
