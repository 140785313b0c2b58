"""The page on monitoring: its code runs as it is printed, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import aioclustersql

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "how-to" / "monitor.md"
SHOWN = """
print(type(body).__name__, content_type.partition(";")[0], *json.loads(page)["ClusterSql"])
print(b'aioclustersql_node_up{cluster="shop",node="db1:5432"} 1.0' in prometheus_client.generate_latest())
"""


def test_the_code_of_the_page_does_what_it_says():
    code = "".join(re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + SHOWN], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout == "bytes text/plain FirstInstanciated db1:5432 db2:5432 db3:5432\nTrue\n"


@pytest.mark.parametrize("page", [PAGE, DOCS / "reference" / "metrics.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_loggers_of_the_page_are_those_of_the_library():
    named = set(re.findall(r"^\| `(aioclustersql[.\w]*)` \|", PAGE.read_text(), re.MULTILINE))
    source = "".join(path.read_text() for path in Path(aioclustersql.__file__).parent.rglob("*.py") if "demo" not in path.parts)
    assert named == set(re.findall(r'getLogger\("([^"]+)"\)', source))
