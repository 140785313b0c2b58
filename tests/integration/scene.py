"""What scenes on real servers share: a stage for those that several tests look at, and what is left when one is over.

Rule: the guards that an async test has hold on the stage too: no task or socket is left, and nothing reached the loop's exception
handler.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.integration.support import Engine, Galera, until

__all__ = ["Leftovers", "leftovers", "play"]

T = TypeVar("T")

_ABORTED = "SHOW GLOBAL STATUS WHERE variable_name IN ('Aborted_connects', 'Aborted_clients')"


@dataclass(slots=True)
class Leftovers:
    """What the servers say of a scene that is over."""

    aborted: dict[str, dict[str, int]] = field(default_factory=dict)
    """By node, the logins and sessions that it counts as cut off by their client; since its start, if it was restarted."""

    def complaints(self, *, clients_of: str | None = None, logins_of: str | None = None) -> list[tuple[str, str, int]]:
        """What the nodes have against us; that sessions, or logins, were cut off on one of them may be right."""
        right = {(clients_of, "Aborted_clients"), (logins_of, "Aborted_connects")}
        found = [(name, what, count) for name, counts in self.aborted.items() for what, count in counts.items()]
        return [(name, what, count) for name, what, count in found if count and (name, what) not in right]


@asynccontextmanager
async def leftovers(engine: Engine) -> AsyncIterator[Leftovers]:
    """See what the block leaves on the servers, once no session is: a session's end gets there some time after ours."""
    left = Leftovers()
    before = await _aborted(engine)
    yield left
    await engine.wait_left()
    for name, counts in (await _aborted(engine)).items():
        began = before[name]
        left.aborted[name] = {what: count - (began[what] if count >= began[what] else 0) for what, count in counts.items()}


def play(scene: Callable[[], Awaitable[T]]) -> T:
    """Run a scene in a loop of its own and return what it tells: for fixtures that several tests look at."""
    reported: list[Mapping[str, Any]] = []

    async def guarded() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        before = _sockets()
        told = await scene()

        async def closed() -> bool:
            return _sockets() <= before

        await until(closed, "sockets are left open", timeout=2.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()
        assert reported == []
        return told

    with asyncio.Runner() as runner:
        return runner.run(guarded())


async def _aborted(engine: Engine) -> dict[str, dict[str, int]]:
    if not isinstance(engine, Galera):
        return {}
    rows = await asyncio.gather(*(asyncio.to_thread(node.sql, _ABORTED) for node in engine.nodes))
    return {node.name: {what: int(count) for what, count in found} for node, found in zip(engine.nodes, rows, strict=True)}


def _sockets() -> int:
    """How many this process has open (Linux)."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except OSError:
            continue  # the descriptor of this very listing
    return count
