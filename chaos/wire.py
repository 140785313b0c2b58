"""A network of namespaces: this thread on a switch, and a cable from it to each node. What is pulled says nothing any more.

A proxy that swallows everything still acknowledges what it is sent; behind a pulled cable nobody does: nothing is acknowledged,
a login finds no route after some seconds, and what was sent comes again when the cable is back.

Rule: nothing here has a name outside this process, so all of it ends with the process, however that ends. It takes Linux, root,
and the tools of iproute2 and util-linux.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["Wire", "wired"]

_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of linux/sched.h."""
_OURS = Path("/proc/thread-self/ns/net")
_BLOCKED, _FORWARDING = 0, 3
"""States of a switch's port: BR_STATE_DISABLED and BR_STATE_FORWARDING of linux/if_bridge.h."""
_libc = ctypes.CDLL(None, use_errno=True)


class Wire:
    """So many cables, all plugged in. Made by `wired`."""

    def __init__(self, namespaces: list[int]) -> None:
        self._namespaces = namespaces
        self._pulled: set[int] = set()

    def host(self, place: int) -> str:
        """The address at the end of a cable; the first place is 0."""
        return f"10.99.0.{place + 1}"

    @contextmanager
    def at(self, place: int) -> Iterator[None]:
        """A socket that this thread makes in the block is at the end of that cable. No `await` in it."""
        here = os.open(_OURS, os.O_RDONLY)
        try:
            _enter(self._namespaces[place])
            try:
                yield
            finally:
                _enter(here)
        finally:
            os.close(here)

    def pull(self, place: int) -> None:
        """Cut a cable. It blocks for some milliseconds, as `plug` does."""
        self._pulled.add(place)
        _switch(place, _BLOCKED)

    def plug(self, place: int) -> None:
        """Mend it, if it is cut."""
        if place in self._pulled:
            _switch(place, _FORWARDING)
            self._pulled.discard(place)


@contextmanager
def wired(cables: int) -> Iterator[Wire | None]:
    """In the block this thread, and what it starts, are in a network of their own, with a loopback and so many cables.

    None, and everything as it was, where that cannot be had here.
    """
    with ExitStack() as stack:
        try:
            wire = Wire(_lay(cables, stack))
        except (OSError, subprocess.CalledProcessError):
            stack.close()
            wire = None
        yield wire


def _lay(cables: int, stack: ExitStack) -> list[int]:
    """The cables; the namespaces at their ends live as long as these descriptors of them and the sockets in there."""
    here = os.open(_OURS, os.O_RDONLY)
    stack.callback(os.close, here)
    _leave()
    stack.callback(_enter, here)
    for command in ("link set lo up", "link add switch type bridge", "addr add 10.99.0.100/24 dev switch", "link set switch up"):
        _run("ip", command)
    namespaces = []
    for place in range(cables):
        namespace = _another()
        stack.callback(os.close, namespace)
        namespaces.append(namespace)
        path = f"/proc/{os.getpid()}/fd/{namespace}"
        _run("ip", f"link add port{place} type veth peer name eth0 netns {path}")
        _run("ip", f"link set port{place} master switch up")
        for command in (f"ip addr add 10.99.0.{place + 1}/24 dev eth0", "ip link set eth0 up"):
            _run("nsenter", f"--net={path} {command}")
    return namespaces


def _another() -> int:
    """A descriptor of a new namespace: it belongs to a thread, and outlives it."""
    made: list[int] = []

    def make() -> None:
        _leave()
        made.append(os.open(_OURS, os.O_RDONLY))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


def _switch(place: int, state: int) -> None:
    _run("bridge", f"link set dev port{place} state {state}")


def _leave() -> None:
    """Put this thread into a new, empty network."""
    if _libc.unshare(_NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "unshare")


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


def _run(tool: str, arguments: str) -> None:
    subprocess.run([tool, *arguments.split()], check=True, capture_output=True)
