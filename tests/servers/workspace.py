"""One temporary folder per test run, and a guard that leaves nothing behind.

The guard is a small shell process that waits for the end of a pipe. The test process alone holds the other end, so
however that process ends, the guard kills every server that joined its process group and removes the folder. (The kernel's
own parent-death signal would not do: it is cleared when a server gives up root, and it is sent when the *thread* that
started the server ends, as after `asyncio.to_thread(node.restart)`.)
"""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

# Signals are ignored because the kernel hangs up on a group that is orphaned while one of its members is frozen. The second
# shell runs in a session of its own: the first one belongs to the group that is killed.
_GUARD = """
trap '' HUP INT TERM
read -r end
exec setsid sh -c 'kill -s KILL -- "-$1"; sleep 0.2; rm -rf -- "$2"' guard "$$" "$1"
"""


class Workspace:
    """A folder that every user may enter, and the process group for servers whose data lie in it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aioclustersql-"))
        self.folder.chmod(0o755)
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        self._owner = os.getpid()
        atexit.register(self.remove)

    @property
    def process_group(self) -> int:
        """Start servers with `subprocess.Popen(..., process_group=workspace.process_group)`."""
        return self._guard.pid

    def remove(self) -> None:
        """Kill what is still in the group and remove the folder."""
        if os.getpid() == self._owner:  # not in a fork of the test process
            self._guard.communicate()
            self._guard.wait()
            shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def workspace() -> Workspace:
    """The workspace of this process, made at the first call and removed when the process ends."""
    return Workspace()
