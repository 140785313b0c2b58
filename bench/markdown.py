"""A report as Markdown: what a run writes, and what the page of the docs is made of. Pure: text in, text out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from bench.result import Cell, Outcome, Report, Table

__all__ = ["cell", "document", "rows", "summary", "table", "targets"]


def document(report: Report) -> str:
    """The whole report: facts, wanted and measured, then each row."""
    about = "```json\n" + json.dumps(report.facts, indent=2, ensure_ascii=False) + "\n```"
    parts = ["# Benchmark", about, "## Wanted and measured", summary(report), *(_row(outcome, {}) for outcome in report.outcomes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(report: Report) -> str:
    """Every wanted figure beside what was measured."""
    head = ("row", "what", "wanted", "measured", "")
    rows = [(o.name, each.what, each.wanted, each.got, each.verdict) for o in report.outcomes for each in o.targets]
    return table(Table("", head, rows))


def rows(report: Report, pictures: Mapping[str, str]) -> Iterable[str]:
    """A section for each row; `pictures`: by a row's name, the picture that belongs there."""
    return (_row(outcome, pictures) for outcome in report.outcomes)


def targets(outcome: Outcome) -> str:
    """What one row should come to, and came to."""
    made = [(each.what, each.wanted, each.got, each.verdict) for each in outcome.targets]
    return table(Table("", ("what", "wanted", "measured", ""), made))


def table(of: Table) -> str:
    """One table, empty when it has no rows."""
    if not of.rows:
        return ""
    lines = [list(of.head), ["---" if _is_text(of, column) else "---:" for column in range(len(of.head))]]
    lines += [[cell(value) for value in row] for row in of.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: Cell) -> str:
    """A figure with three digits that count, words as they are, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else value


def _is_text(of: Table, column: int) -> bool:
    return all(isinstance(row[column], str) for row in of.rows) and not any(_reads_as_figure(str(row[column])) for row in of.rows)


def _reads_as_figure(text: str) -> bool:
    return text.lstrip("><≤≥ ")[:1].isdigit()


def _row(outcome: Outcome, pictures: Mapping[str, str]) -> str:
    parts = [f"## {outcome.title}"]
    if outcome.failure is not None:
        parts.append(f"**This row failed:** {outcome.failure}")
    if outcome.name in pictures:
        parts.append(pictures[outcome.name])
    for each in outcome.tables:
        parts += [f"### {each.title}", table(each), each.note]
    if outcome.targets:
        parts += ["### Wanted and measured", targets(outcome)]
    if outcome.remarks:
        parts += ["### Worse than a peer, and why", "\n".join(f"- {remark}" for remark in outcome.remarks)]
    return "\n\n".join(part for part in parts if part)
