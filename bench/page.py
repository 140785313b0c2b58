"""The page "How fast it is" of the docs, as a function of a report. Pure: no file is read, nothing is measured."""

from __future__ import annotations

from bench.markdown import rows, summary
from bench.pictures import PICTURES
from bench.result import Report

__all__ = ["page"]

_HEAD = """# How fast it is

What connects and leases cost, beside what you would take instead, in one interleaved run on real servers. This page is made by
`python -m bench.publish` from the figures of a run ([bench.json](bench.json)); `make bench` measures them anew on your machine.

Trust ratios, not milliseconds: all libraries run in turn on one machine, so what slows down one slows down all. Every peer is
used with its own defaults. How each row is measured is told in `bench/README.md`.
"""


def page(report: Report) -> str:
    """All of it."""
    return "\n\n".join([_HEAD.rstrip(), _facts(report), _verdicts(report), *rows(report, _pictures(report))]) + "\n"


def _facts(report: Report) -> str:
    facts = report.facts
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    servers = "; ".join(server for servers in facts["behind"].values() for server in servers)
    quick = (
        " This was a quick run, which shows that everything works and no more: its figures mean little." if facts["quick"] else ""
    )
    return f"Measured {facts['date']} on {facts['cores']} cores with {facts['python']}, {packages}. Servers: {servers}.{quick}"


def _verdicts(report: Report) -> str:
    targets = [target for outcome in report.outcomes for target in outcome.targets]
    met = sum(target.met for target in targets)
    worse = sum(len(outcome.remarks) for outcome in report.outcomes)
    said = f"{met} of {len(targets)} wanted figures were met; {worse} are worse than a peer's, and each row says which and why."
    return f"## Wanted and measured\n\n{said}\n\n{summary(report)}"


def _pictures(report: Report) -> dict[str, str]:
    drawn = {outcome.name for outcome in report.outcomes if outcome.curves}
    return {row: f"![{title}](pictures/{name})" for row, (name, title) in PICTURES.items() if row in drawn}
