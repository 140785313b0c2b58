"""What is left when a scene is over: sessions that the servers say were cut off, and this process's own sockets.

Rule: a session's end reaches the server some time after ours, so the servers are asked once no session is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chaos.engine import Engine, Galera

__all__ = ["Leftovers", "aborted", "leftovers", "since", "sockets"]

_ABORTED = "SHOW GLOBAL STATUS WHERE variable_name IN ('Aborted_connects', 'Aborted_clients')"


@dataclass(slots=True)
class Leftovers:
    """What the servers say of a scene that is over."""

    aborted: dict[str, dict[str, int]] = field(default_factory=dict)
    """By node, the logins and sessions that it counts as cut off by their client; since its start, if it was restarted."""

    def complaints(self, *, clients_of: Collection[str] = (), logins_of: Collection[str] = ()) -> list[tuple[str, str, int]]:
        """What the nodes have against us. That sessions were cut off on some of them is right, and so are lost logins on others:
        a server that has just started counts one now and then that it hung up on itself.
        """
        right = {(name, "Aborted_clients") for name in clients_of} | {(name, "Aborted_connects") for name in logins_of}
        found = [(name, what, count) for name, counts in self.aborted.items() for what, count in counts.items()]
        return [(name, what, count) for name, what, count in found if count and (name, what) not in right]


@asynccontextmanager
async def leftovers(engine: Engine) -> AsyncIterator[Leftovers]:
    """See what the block leaves on the servers, once no session is."""
    left = Leftovers()
    before = await aborted(engine)
    yield left
    await engine.wait_left()
    left.aborted = since(before, await aborted(engine))


def since(before: dict[str, dict[str, int]], now: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """What has been counted meanwhile; a server that was restarted counts from 0."""
    return {
        name: {what: count - (before[name][what] if count >= before[name][what] else 0) for what, count in counts.items()}
        for name, counts in now.items()
    }


async def aborted(engine: Engine) -> dict[str, dict[str, int]]:
    """What each server counts so far; PostgreSQL counts nothing of the kind."""
    if not isinstance(engine, Galera):
        return {}
    rows = await asyncio.gather(*(asyncio.to_thread(node.sql, _ABORTED) for node in engine.nodes))
    return {node.name: {what: int(count) for what, count in found} for node, found in zip(engine.nodes, rows, strict=True)}


def sockets() -> int:
    """How many this process has open (Linux)."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except OSError:
            continue  # the descriptor of this very listing
    return count
