"""What is said of pip-audit's report: a finding fails, and an audit that saw nothing is not called one that found nothing."""

from __future__ import annotations

from scripts.audit import judge

CLEAN = {"name": "anyio", "version": "4.4.0", "vulns": []}
SKIPPED = {"name": "aioclustersql", "skip_reason": "distribution marked as editable"}
HIT = {"name": "jinja2", "version": "3.1.3", "vulns": [{"id": "CVE-2024-34064", "fix_versions": ["3.1.4"]}]}
HOPELESS = {"name": "old", "version": "1", "vulns": [{"id": "X-1", "fix_versions": []}]}


def test_a_vulnerability_fails_and_says_what_mends_it() -> None:
    code, text = judge([CLEAN, HIT, HOPELESS, SKIPPED])
    assert code == 1
    assert text.splitlines()[1:] == ["jinja2 3.1.3: CVE-2024-34064, mended in 3.1.4", "old 1: X-1, mended in no version"]


def test_a_clean_environment_passes_and_says_how_much_was_seen() -> None:
    assert judge([CLEAN, SKIPPED]) == (0, "1 of 2 packages audited: no known vulnerability")


def test_an_audit_that_saw_nothing_says_so() -> None:
    code, text = judge([SKIPPED])
    assert code == 0
    assert text.startswith("NOT AUDITED")
