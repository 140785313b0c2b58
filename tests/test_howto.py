"""The how-to pages print parts of examples/ and no code of their own: the examples are what is run, on real servers."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "docs" / "how-to" / f"{name}.md"
    for name in ("sqlalchemy", "alembic", "read-write-split", "use-your-own-pool", "fastapi", "litestar", "aiohttp", "quart")
]


def code(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def is_part_of(block: str, example: str) -> bool:
    """Whether these lines stand there one after the other, however far they are indented."""
    return any(textwrap.indent(block, " " * depth, lambda line: bool(line.strip())) in example for depth in range(0, 20, 4))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_is_a_part_of_the_examples_it_links_to(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text())
    targets = [(page.parent / link.partition("#")[0]).resolve() for link in links if "://" not in link]
    assert [target for target in targets if not target.exists()] == []
    examples = [target.read_text() for target in targets if target.parent.name == "examples"]
    assert code(page), "a page without code"
    assert [block for block in code(page) if not any(is_part_of(block, example) for example in examples)] == []
