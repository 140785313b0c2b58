#!/usr/bin/env python3
"""Write the tables and pictures of docs/ anew from the code's own tables and constants; --check only compares.

A part of a page between `<!-- NAME -->` and `<!-- end -->` belongs to the function of that name in `docs_parts` or
`metrics_parts`; the rest is written by hand. Run it with the project's environment: .venv/bin/python -m scripts.render_docs
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from . import diagrams, docs_commands, metrics_parts
from . import docs_parts as parts

__all__ = ["PAGES", "PICTURES", "render"]

_DOCS = Path(__file__).parents[1] / "docs"

PAGES: Mapping[Path, tuple[Callable[[], str], ...]] = {
    _DOCS / "explanation" / "how-it-connects.md": (parts.targets, parts.transitions, parts.failures, parts.connecting),
    _DOCS / "explanation" / "how-it-keeps-serving.md": (parts.writers, parts.verdicts, parts.frequencies, parts.serving),
    _DOCS / "explanation" / "transactions.md": (parts.retries, parts.running),
    _DOCS / "reference" / "command-line.md": (docs_commands.commands, docs_commands.exits, docs_commands.findings),
    _DOCS / "reference" / "events.md": (parts.happenings,),
    _DOCS / "reference" / "metrics.md": (metrics_parts.cluster_metrics, metrics_parts.node_metrics, metrics_parts.buckets),
}
"""The pages with parts made from the code."""

PICTURES: Mapping[Path, Callable[[], str]] = {_DOCS / "explanation" / "breaker.svg": diagrams.breaker}
"""The files that are made from the code as a whole."""


def render(page: str, made: Iterable[Callable[[], str]]) -> str:
    """`page` with every part that is made from the code as it should be now. Raises `ValueError` for one that the page lacks."""
    for part in made:
        head, start, rest = page.partition(f"<!-- {part.__name__} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        if not end:
            raise ValueError(f"the page has no part <!-- {part.__name__} --> ... <!-- end -->")
        page = f"{head}{start}{part()}\n{end}{tail}"
    return page


def files() -> dict[Path, str]:
    """All files that are made from the code, at least in parts, as they should be now."""
    pages = {path: render(path.read_text(), made) for path, made in PAGES.items()}
    return pages | {path: make() for path, make in PICTURES.items()}


def main(arguments: list[str]) -> str | None:
    """Write the files, or say what is wrong with them."""
    stale = {path: text for path, text in files().items() if not path.exists() or path.read_text() != text}
    if arguments == ["--check"]:
        return f"out of date: {', '.join(path.name for path in stale)}; run scripts.render_docs" if stale else None
    for path, text in stale.items():
        path.write_text(text)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
