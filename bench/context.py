"""What every row is given: how much to measure, the servers, and a way to run a coroutine that cannot go on for ever.

Servers are started when the first row asks for them and shared by all later ones; closing the context stops them.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from bench.cores import own_core, servers_cores
from bench.stands import DRIVERS, Stand, open_stand

__all__ = ["Context"]

T = TypeVar("T")
_NODES = 30
_SERVERS = 3
_MANY_NODES = 60
"""PostgreSQL listens on 64 addresses at most."""
_PATIENCE = 240.0


class Context:
    """For a `with` block. `say` shows progress."""

    def __init__(self, say: Callable[[str], None], *, drivers: Sequence[str] = DRIVERS, quick: bool = False) -> None:
        self.say = say
        self.drivers = tuple(drivers)
        self.quick = quick
        self._stack = ExitStack()
        self._stands: dict[str, Stand] = {}
        self._behind: dict[str, list[str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def times(self, full: int, quick: int) -> int:
        """How often: `quick` only shows that it works."""
        return quick if self.quick else full

    def stand(self, driver: str) -> Stand:
        """Servers for a driver: one PostgreSQL primary with 60 addresses, or three Galera nodes."""
        if driver not in self._stands:
            stand = self._stack.enter_context(open_stand(driver, _MANY_NODES if driver == "asyncpg" else _NODES))
            self._stands[driver] = self._seen(stand, _NODES)
        return self._stands[driver]

    @contextmanager
    def apart(self, driver: str) -> Iterator[Stand]:
        """Three servers for a driver while the block runs, on processors of their own: for rows that give them no pause."""
        with ExitStack() as stack:
            with servers_cores():
                stand = stack.enter_context(open_stand(driver, _SERVERS, standbys=2 if driver == "asyncpg" else 0))
            stack.enter_context(own_core())
            yield self._seen(stand, _SERVERS)

    def _seen(self, stand: Stand, nodes: int) -> Stand:
        self._behind.setdefault(stand.driver, []).append(stand.behind(nodes))
        return stand

    def facts(self) -> dict[str, list[str]]:
        """What stood behind the nodes, by driver."""
        return self._behind

    def run(self, work: Coroutine[Any, Any, T], patience: float = _PATIENCE) -> T:
        """Run it in a loop of its own; `TimeoutError` when it takes longer than `patience` seconds."""

        async def bounded() -> T:
            async with asyncio.timeout(patience):
                return await work

        gc.collect()
        return asyncio.run(bounded())
