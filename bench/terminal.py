"""A report on the terminal: its tables, the wanted figures, and where a peer is better."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable

from bench.markdown import cell
from bench.result import Outcome, Report, Table

__all__ = ["show"]


def show(report: Report, console: Console) -> None:
    """Print it."""
    for outcome in report.outcomes:
        for each in outcome.tables:
            console.print(_table(each))
        if outcome.targets:
            console.print(_targets(outcome))
        for remark in outcome.remarks:
            console.print(f"worse than a peer: {remark}", highlight=False, markup=False)


def _table(of: Table) -> RichTable:
    made = RichTable(title=of.title, title_justify="left")
    for column, name in enumerate(of.head):
        made.add_column(name, justify="left" if all(isinstance(row[column], str) for row in of.rows) else "right")
    grouped = len({row[0] for row in of.rows}) < len(of.rows)
    last = None
    for row in of.rows:
        if grouped and last is not None and row[0] != last:
            made.add_section()
        last = row[0]
        made.add_row(*map(cell, row))
    return made


def _targets(outcome: Outcome) -> RichTable:
    rows = [(each.what, each.wanted, each.got, each.verdict) for each in outcome.targets]
    return _table(Table("Wanted and measured", ("what", "wanted", "measured", ""), rows))
