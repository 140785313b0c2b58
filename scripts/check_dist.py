"""Check what `make dist` built: `python -m scripts.check_dist dist`, with a sdist and a wheel in that directory.

The wheel must hold all that the package needs at run time, be the one that the sdist builds, and pass the tests as users install it:
in an environment of its own, in a directory without the sources.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

__all__ = ["entry_points", "main", "missing"]

_ROOT = Path(__file__).parents[1]
_SOURCES = _ROOT / "src"
_WHERE = "import aioclustersql, sysconfig; print(aioclustersql.__file__); print(sysconfig.get_path('purelib'))"


def missing(names: Collection[str], sources: Path) -> list[str]:
    """The files of the package below `sources` that a wheel with the files `names` lacks: modules, templates, py.typed."""
    needed = (path for path in sources.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted({str(path.relative_to(sources)) for path in needed} - set(names))


def entry_points(project: dict[str, Any]) -> dict[str, dict[str, str]]:
    """What entry_points.txt of the wheel must say, from a project table."""
    return {"console_scripts": project["scripts"], **project["entry-points"]}


def main(dist: Path) -> None:
    """Check both files in `dist`. Raises `SystemExit` with what is wrong."""
    (sdist,) = dist.glob("*.tar.gz")
    (wheel,) = dist.glob("*.whl")
    with tempfile.TemporaryDirectory() as given:
        room = Path(given)
        _look_inside(wheel, room / "inside")
        tree = _unpacked(sdist, room)
        _build_again(wheel, tree, room / "again")
        shutil.rmtree(tree / "src")
        _test(wheel, tree, room / "venv")


def _look_inside(wheel: Path, room: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        lacking = missing(archive.namelist(), _SOURCES)
        archive.extractall(room)
    if lacking:
        sys.exit(f"{wheel.name} lacks {', '.join(lacking)}")
    said = (next(room.glob("*.dist-info")) / "entry_points.txt").read_text()
    found = {
        head.strip("[]"): dict(line.split(" = ") for line in lines)
        for head, *lines in (section.splitlines() for section in said.strip().split("\n\n"))
    }
    wanted = entry_points(tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"])
    if found != wanted:
        sys.exit(f"{wheel.name} has the entry points {found}, not {wanted}")


def _unpacked(sdist: Path, room: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(room, filter="data")
    return room / sdist.name.removesuffix(".tar.gz")


def _build_again(wheel: Path, tree: Path, room: Path) -> None:
    for source, out in (("sdist", tree), ("tree", _ROOT)):
        _run(sys.executable, "-m", "build", "--wheel", "--outdir", str(room / source), str(out))
        if (room / source / wheel.name).read_bytes() != wheel.read_bytes():
            sys.exit(f"the {source} builds another {wheel.name}")


def _test(wheel: Path, tree: Path, room: Path) -> None:
    venv.create(room, with_pip=True)
    python = str(room / "bin" / "python")
    _run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1")
    _run(python, "-m", "pip", "install", "--quiet", f"{wheel.resolve()}[all]", "--group", "test", at=tree)
    where, site = _run(python, "-c", _WHERE, at=tree, capture=True).split("\n")
    if not Path(where).is_relative_to(site):
        sys.exit(f"{where} is not the wheel's")
    _run(python, "-m", "pytest", "-q", "-m", "not integration", "tests", at=tree)
    _run(str(room / "bin" / "aioclustersql"), "--help", capture=True)


def _run(*command: str, at: Path = _ROOT, capture: bool = False) -> str:
    """Run without the variables that would lead to the sources. Returns what it printed if that is to be captured."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}
    pipe = subprocess.PIPE if capture else None
    done = subprocess.run(command, cwd=at, env=env, stdout=pipe, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode:
        sys.exit(f"failed: {' '.join(command)}")
    return (done.stdout or "").strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
