#!/usr/bin/env python3
"""Write the tables of the pages in docs/ anew from the code's own tables and constants; --check only compares.

A part of a page between `<!-- NAME -->` and `<!-- end -->` belongs to the function of that name in `docs_parts` or
`metrics_parts`; the rest is written by hand. Run it with the project's environment: .venv/bin/python -m scripts.render_docs
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from . import docs_commands, metrics_parts
from . import docs_parts as parts

__all__ = ["PAGES", "render"]

_DOCS = Path(__file__).parents[1] / "docs"

PAGES: Mapping[Path, tuple[Callable[[], str], ...]] = {
    _DOCS / "how-it-connects.md": (parts.targets, parts.transitions, parts.failures, parts.connecting),
    _DOCS / "how-it-keeps-serving.md": (parts.writers, parts.verdicts, parts.frequencies, parts.serving),
    _DOCS / "transactions.md": (parts.retries, parts.running),
    _DOCS / "events.md": (parts.happenings,),
    _DOCS / "reference" / "command-line.md": (docs_commands.commands, docs_commands.exits, docs_commands.findings),
    _DOCS / "reference" / "metrics.md": (metrics_parts.cluster_metrics, metrics_parts.node_metrics, metrics_parts.buckets),
}
"""The pages with parts made from the code."""


def render(page: str, made: Iterable[Callable[[], str]]) -> str:
    """`page` with every part that is made from the code as it should be now. Raises `ValueError` for one that the page lacks."""
    for part in made:
        head, start, rest = page.partition(f"<!-- {part.__name__} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        if not end:
            raise ValueError(f"the page has no part <!-- {part.__name__} --> ... <!-- end -->")
        page = f"{head}{start}{part()}\n{end}{tail}"
    return page


def main(arguments: list[str]) -> str | None:
    """Write the pages, or say what is wrong with them."""
    stale = []
    for path, made in PAGES.items():
        old = path.read_text()
        new = render(old, made)
        if old != new:
            stale.append(path.name)
            if arguments != ["--check"]:
                path.write_text(new)
    return f"out of date: {', '.join(stale)}; run scripts.render_docs" if stale and arguments == ["--check"] else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
