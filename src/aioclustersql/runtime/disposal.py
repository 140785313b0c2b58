"""Closes connections nobody wants: with a goodbye, bounded in time, in a task that is kept and named."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import anyio

from ..drivers.base import Driver
from .member import Member

__all__ = ["Disposal"]

C = TypeVar("C")

_log = logging.getLogger("aioclustersql")


class Disposal(Generic[C]):
    """The goodbyes under way."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._tasks: set[asyncio.Task[None]] = set()
        self.adopt: Callable[[Member[C], C], bool] | None = None
        """Asked first with a connection that lost its race: whether the pool takes it over."""

    def __len__(self) -> int:
        return len(self._tasks)

    def spare(self, driver: Driver[C], member: Member[C], conn: C, within: float) -> None:
        """Nobody waits for this new connection any more: the pool takes it over, or it is closed."""
        if self.adopt is None or not self.adopt(member, conn):
            self.close(driver, conn, within)

    def close(self, driver: Driver[C], conn: C, within: float) -> asyncio.Task[None]:
        """Say goodbye in the background; at once and without one after `within` seconds. The task never fails."""
        task = asyncio.get_running_loop().create_task(
            self._close(driver, conn, within), name=f"aioclustersql:{self._cluster}:goodbye"
        )
        self._tasks.add(task)
        task.add_done_callback(partial(self._finish, driver, conn))
        return task

    def _finish(self, driver: Driver[C], conn: C, task: asyncio.Task[None]) -> None:
        # Also after a task that was cancelled before its first step. On a connection that is closed this does nothing.
        self._tasks.discard(task)
        driver.terminate(conn)

    async def wait(self) -> None:
        """Until every goodbye is over; each is bounded."""
        while self._tasks:
            if pending := [task for task in self._tasks if not task.done()]:
                await asyncio.wait(pending)
            else:
                await asyncio.sleep(0)  # their callbacks are due

    def cut(self) -> None:
        """No more time for goodbyes."""
        for task in self._tasks:
            task.cancel()

    def forget(self) -> None:
        """Their loop is gone."""
        self._tasks.clear()

    @staticmethod
    async def _close(driver: Driver[C], conn: C, within: float) -> None:
        try:
            with anyio.move_on_after(within):
                await driver.close(conn)
        except Exception as exc:  # noqa: BLE001 - nobody is left who could care
            _log.debug("closing a connection failed: %s", type(exc).__name__)
