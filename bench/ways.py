"""The ways to a connection that are compared: the raw driver, ours warm, ours with `stagger=0`, and a naive race."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from aioclustersql import Cluster
from bench.stands import Stand

__all__ = ["Naive", "Ours", "Raw", "Way"]

WARM_UP = 30
"""Connects beyond what the cluster wants to learn every node by, before anything is measured."""


class Way(Protocol):
    """One way to a connection to one of `nodes` nodes."""

    name: str

    async def connect(self) -> Any:
        """A usable connection."""
        ...

    async def warm_up(self) -> None:
        """Learn what there is to learn before the measuring."""
        ...

    async def close(self) -> None:
        """The way is not used any more."""
        ...


class Raw:
    """The driver's own connect to node 0."""

    name = "raw"

    def __init__(self, stand: Stand) -> None:
        self._stand = stand

    async def connect(self) -> Any:
        return await self._stand.login(0)

    async def warm_up(self) -> None:
        for _ in range(WARM_UP):
            await self._stand.goodbye(await self.connect())

    async def close(self) -> None:
        pass


class Ours:
    """`Cluster.connect`: the warm, staggered race, or with `stagger=0` a race of all nodes each time."""

    def __init__(self, stand: Stand, nodes: int, *, at_once: bool = False) -> None:
        self.name = "stagger=0" if at_once else "warm"
        self._stand = stand
        self._nodes = nodes
        self.cluster: Cluster[Any] = Cluster(
            {f"node{number}": stand.url(number) for number in range(nodes)}, stagger=0 if at_once else "auto"
        )
        self._connects = WARM_UP if at_once else WARM_UP + 3 * nodes

    async def connect(self) -> Any:
        return await self.cluster.connect()

    async def warm_up(self) -> None:
        for _ in range(self._connects):
            await self._stand.goodbye(await self.connect())

    async def close(self) -> None:
        await self.cluster.close()


class Naive:
    """What a user would write: everywhere at once, the first wins, the others finish and are closed.

    They are not cancelled: that takes the user longer to get right, and on MySQL and MariaDB a hundred cut logins make the
    server block the client's host. No time-out, no check that the winner serves, no memory.
    """

    name = "naive"

    def __init__(self, stand: Stand, nodes: int) -> None:
        self._stand = stand
        self._nodes = range(nodes)
        self._losers: set[asyncio.Task[None]] = set()

    async def connect(self) -> Any:
        pending = {asyncio.create_task(self._stand.login(node)) for node in self._nodes}
        winner = error = None
        while pending and winner is None:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if winner is not None:
                    pending.add(task)
                elif (error := task.exception()) is None:
                    winner = task.result()
        self._losers = {asyncio.create_task(self._close(task)) for task in pending}
        if winner is None:
            raise error or OSError("there is no node")
        return winner

    async def _close(self, login: asyncio.Task[Any]) -> None:
        await self._stand.goodbye(await login)

    async def warm_up(self) -> None:
        pass

    async def close(self) -> None:
        pass
