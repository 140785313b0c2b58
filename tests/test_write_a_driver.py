"""The driver that the page on writing one prints passes the suite that it speaks of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "write-a-driver.md"


def test_the_driver_of_the_page_passes_the_suite_of_the_page(tmp_path: Path) -> None:
    for name, text in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(text)
    alone = ("-p", "no:cacheprovider", "-p", "no:asyncio", "--rootdir", str(tmp_path))
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *alone]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^2\d passed", done.stdout, re.MULTILINE), done.stdout
