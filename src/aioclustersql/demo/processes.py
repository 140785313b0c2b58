"""Freezing and killing a server with all its children, and the guard that cleans up after a crash of ours.

The standard library only, and no import from this package: the guard runs this very file as a script. Why a guard and not
Linux' parent-death signal: that one fires when the *thread* that started the server ends, is lost at setuid, and leaves the
temporary folders behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["Guard", "children", "is_running", "kill_tree", "remove_shared_memory", "signal_one", "signal_tree"]

_PROC = Path("/proc")
_IPC_RMID = 0


def _parents() -> dict[int, int]:
    """Every process's parent; zombies are left out."""
    found: dict[int, int] = {}
    if sys.platform.startswith("linux"):
        for entry in _PROC.iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    # "pid (comm) state ppid ...": comm may hold blanks and parentheses
                    state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                    if state not in "ZX":
                        found[int(entry.name)] = int(parent)
    else:
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)  # noqa: S607
        for line in listing.stdout.splitlines():
            pid, ppid, status = line.split()[:3]
            if not status.startswith("Z"):
                found[int(pid)] = int(ppid)
    return found


def children(pid: int) -> list[int]:
    """The living direct children of a process."""
    return [child for child, parent in _parents().items() if parent == pid]


def is_running(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    return pid in _parents()


def signal_one(pid: int, number: int) -> None:
    """Send a signal to one process; that it is gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def signal_tree(pid: int, number: int) -> None:
    """Send a signal to a server and its children.

    The parent first: once it stands still it starts no further child. SIGCONT goes the other way round.
    """
    if number == signal.SIGCONT:
        for child in children(pid):
            signal_one(child, number)
        signal_one(pid, number)
    else:
        signal_one(pid, number)
        for child in children(pid):
            signal_one(child, number)


def kill_tree(pid: int, timeout: float = 5.0) -> None:
    """SIGKILL a server and its children, and wait until the children are gone (the parent is the caller's to reap)."""
    signal_one(pid, signal.SIGSTOP)
    family = children(pid)
    for each in (*family, pid):
        signal_one(each, signal.SIGKILL)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and not _parents().keys().isdisjoint(family):
        time.sleep(0.002)


def remove_shared_memory(pid_file: Path) -> None:
    """Remove the System V segment that a killed PostgreSQL left; its id is in line 7 of postmaster.pid."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        identifier = int(pid_file.read_text().splitlines()[6].split()[1])
        ctypes.CDLL(None).shmctl(identifier, _IPC_RMID, None)


class Guard:
    """A small process that outlives us by a moment: when we are gone, it kills our servers and removes our folders.

    It learns of our end from its standard input. It is in a session of its own, so a Ctrl-C does not reach it.
    """

    def __init__(self) -> None:
        theirs, self._ours = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this very file
                [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            os.close(self._ours)
            raise
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        """The guard's own process id."""
        return self._process.pid

    def watch_folder(self, folder: Path) -> None:
        """Remove this folder when we are gone."""
        self._tell("folder", 0, folder)

    def watch_server(self, pid: int, data: Path) -> None:
        """Kill this server when we are gone; its command line names the data folder."""
        self._tell("server", pid, data)

    def forget_server(self, pid: int) -> None:
        """This server has ended; its number may be another process's from now on."""
        self._tell("ended", pid, Path("-"))

    def _tell(self, word: str, pid: int, path: Path) -> None:
        with contextlib.suppress(BrokenPipeError):  # somebody killed the guard: we clean up ourselves in the usual case
            os.write(self._ours, f"{word} {pid} {path}\n".encode())

    def close(self) -> None:
        """End the guard; whatever it still watches is cleaned up."""
        os.close(self._ours)
        self._process.wait()


def _is_ours(pid: int, data: str) -> bool:
    if not sys.platform.startswith("linux"):
        return True
    try:
        return os.fsencode(data) in (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False


def _guard() -> None:
    folders: list[str] = []
    servers: dict[int, str] = {}
    for line in sys.stdin:
        word, number, path = line.rstrip("\n").split(" ", 2)
        if word == "folder":
            folders.append(path)
        elif word == "server":
            servers[int(number)] = path
        else:
            servers.pop(int(number), None)
    for pid, data in servers.items():
        if _is_ours(pid, data):
            kill_tree(pid)
            remove_shared_memory(Path(data) / "postmaster.pid")
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _guard()
