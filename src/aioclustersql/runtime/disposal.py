"""Closes connections nobody wants: with a goodbye, bounded in time, in a task that is kept and named."""

from __future__ import annotations

import asyncio
import logging
from typing import Generic, TypeVar

import anyio

from ..drivers.base import Driver

__all__ = ["Disposal"]

C = TypeVar("C")

_log = logging.getLogger("aioclustersql")


class Disposal(Generic[C]):
    """The goodbyes under way."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def close(self, driver: Driver[C], conn: C, within: float) -> asyncio.Task[None]:
        """Say goodbye in the background; at once and without one after `within` seconds. The task never fails."""
        task = asyncio.get_running_loop().create_task(
            self._close(driver, conn, within), name=f"aioclustersql:{self._cluster}:goodbye"
        )
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    async def wait(self) -> None:
        """Until every goodbye is over; each is bounded."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        """The goodbyes under way."""
        return tuple(self._tasks)

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
            _log.debug("closing a connection: %r", exc)
        finally:
            # A task cancelled at the loop's end comes here, too. On a connection that is closed this does nothing.
            driver.terminate(conn)
