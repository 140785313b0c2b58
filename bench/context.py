"""What every row is given: how much to measure, the servers, and a way to run a coroutine that cannot go on for ever.

Servers are started when the first row asks for them and shared by all later ones; closing the context stops them. They run on
processors of their own, see `cores`.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from bench.cores import own_core, servers_cores
from bench.stands import DRIVERS, Stand, open_stand

__all__ = ["Context"]

T = TypeVar("T")
_NODES = 30
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
        self._stands: dict[tuple[str, bool], Stand] = {}

    def __enter__(self) -> Self:
        self._stack.enter_context(own_core())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def times(self, full: int, quick: int) -> int:
        """How often: `quick` only shows that it works."""
        return quick if self.quick else full

    def stand(self, driver: str, *, standbys: bool = False) -> Stand:
        """Servers for a driver. PostgreSQL: one primary with 60 addresses, or with `standbys` three servers; Galera: three."""
        key = (driver, standbys and driver == "asyncpg")
        if key not in self._stands:
            nodes = 3 if key[1] else _MANY_NODES if driver == "asyncpg" else _NODES
            with servers_cores():
                self._stands[key] = self._stack.enter_context(open_stand(driver, nodes, standbys=2 if key[1] else 0))
        return self._stands[key]

    def facts(self) -> dict[str, list[str]]:
        """What stood behind the nodes, by driver."""
        found: dict[str, list[str]] = {}
        for (driver, standbys), stand in self._stands.items():
            found.setdefault(driver, []).append(stand.behind(3 if standbys else _NODES))
        return found

    def run(self, work: Coroutine[Any, Any, T], patience: float = _PATIENCE) -> T:
        """Run it in a loop of its own; `TimeoutError` when it takes longer than `patience` seconds."""

        async def bounded() -> T:
            async with asyncio.timeout(patience):
                return await work

        gc.collect()
        return asyncio.run(bounded())
