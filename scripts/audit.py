"""Look up every installed package in the database of known vulnerabilities, by pip-audit. `make lint` runs it.

1: there is a known vulnerability. A database that cannot be reached, or knows none of the packages, proves nothing: that is said,
and is no failure, so that the code can be checked without a network.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

__all__ = ["judge", "main"]


def judge(dependencies: list[dict[str, Any]]) -> tuple[int, str]:
    """The exit code and what is to be said, from the "dependencies" of pip-audit's report."""
    audited = [each for each in dependencies if "skip_reason" not in each]
    found = [
        f"{each['name']} {each['version']}: {hit['id']}, mended in {', '.join(hit['fix_versions']) or 'no version'}"
        for each in audited
        for hit in each["vulns"]
    ]
    if found:
        return 1, "\n".join(["known vulnerabilities:", *found])
    if not audited:
        return 0, "NOT AUDITED: the database of vulnerabilities knows none of the packages; is there a network?"
    return 0, f"{len(audited)} of {len(dependencies)} packages audited: no known vulnerability"


def main() -> int:
    """Audit this environment."""
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print("NOT AUDITED: pip-audit said", done.stderr.strip().rpartition("\n")[2])
        return 0
    code, text = judge(dependencies)
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
