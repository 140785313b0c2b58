"""Check what `make dist` built: `python -m scripts.check_dist dist`, with a sdist and a wheel in that directory.

The wheel was built from the sdist. It must be the one that the sources build, hold all that the package needs, and pass
the tests as users install it: in an environment of its own, in a directory without the sources.
"""

from __future__ import annotations

import configparser
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
        _look_inside(wheel)
        _build_again(wheel, room)
        with tarfile.open(sdist) as archive:
            archive.extractall(room, filter="data")
        tree = room / sdist.name.removesuffix(".tar.gz")
        shutil.rmtree(tree / "src")
        _test(wheel, tree, room / "venv")


def _look_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        if lacking := missing(names, _SOURCES):
            sys.exit(f"{wheel.name} lacks {', '.join(lacking)}")
        said = archive.read(next(name for name in names if name.endswith(".dist-info/entry_points.txt"))).decode()
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read_string(said)
    found = {section: dict(parser[section]) for section in parser.sections()}
    wanted = entry_points(tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"])
    if found != wanted:
        sys.exit(f"{wheel.name} has the entry points {found}, not {wanted}")


def _build_again(wheel: Path, room: Path) -> None:
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", str(room), str(_ROOT))
    if (room / wheel.name).read_bytes() != wheel.read_bytes():
        sys.exit(f"the sources build another {wheel.name}: what does the sdist lack?")


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
