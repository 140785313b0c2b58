"""Makes the docs' page from a run: `python -m bench.publish [FILE]` takes over a run's figures, without FILE the committed ones.

It writes docs/explanation/bench.json, the page how-fast-it-is.md and its pictures. A test compares the page with the figures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.page import page
from bench.result import Report

__all__ = ["FIGURES", "PAGE", "load", "main"]

_FOLDER = Path(__file__).parents[1] / "docs" / "explanation"
FIGURES = _FOLDER / "bench.json"
PAGE = _FOLDER / "how-fast-it-is.md"


def load(path: Path) -> Report:
    """The report that a run has written."""
    return Report.from_dict(json.loads(path.read_text()))


def main(arguments: list[str]) -> str | None:
    """Write the page; returns what is wrong, if anything is."""
    from bench.pictures import draw

    report = load(Path(arguments[0]) if arguments else FIGURES)
    if report.failed:
        return f"rows have failed, and nothing is published: {', '.join(report.failed)}"
    pictures = _FOLDER / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    draw(report, pictures)
    FIGURES.write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(report))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
