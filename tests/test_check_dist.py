"""What a wheel must hold: every file of the package, and the names that others find it by."""

from __future__ import annotations

from pathlib import Path

from scripts.check_dist import entry_points, missing


def test_a_wheel_without_a_template_is_found_out(tmp_path: Path) -> None:
    for name in ("pkg/__init__.py", "pkg/templates/page.html", "pkg/py.typed", "pkg/__pycache__/__init__.pyc"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert missing(["pkg/__init__.py", "pkg/py.typed", "pkg-1.dist-info/METADATA"], tmp_path) == ["pkg/templates/page.html"]


def test_the_command_and_the_drivers_are_entry_points() -> None:
    project = {"scripts": {"tool": "pkg:main"}, "entry-points": {"pkg.drivers": {"own": "pkg:Own"}}}
    assert entry_points(project) == {"console_scripts": {"tool": "pkg:main"}, "pkg.drivers": {"own": "pkg:Own"}}
