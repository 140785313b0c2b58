"""A login of the monitor's own: not for anybody, not validated, ended by nobody but the monitor.

Rule: whoever holds the `Witness` owns the connection that comes out of it; an abandoned one closes what still comes.
"""

from __future__ import annotations

import asyncio
import math
from typing import Generic, TypeVar

from ..drivers.base import resolve_password
from .member import Member
from .registry import Registry

__all__ = ["Witness"]

C = TypeVar("C")


class Witness(Generic[C]):
    """A login under way, or its result."""

    def __init__(self, registry: Registry[C], member: Member[C], loop: asyncio.AbstractEventLoop) -> None:
        self._registry = registry
        self._member = member
        self._loop = loop
        self._endpoint = member.endpoint
        self.started = loop.time()
        self.secret: str | None = None
        self.speaking_since = math.inf if callable(member.endpoint.password) else self.started
        """Since when it waits for the node, and no longer for its password."""
        member.counters.logins += 1
        self.task = loop.create_task(self._log_in(), name=f"aioclustersql:{registry.cluster}:monitor-login:{member.name}")

    @property
    def error(self) -> Exception | None:
        """How it failed, once it is done; a cancel that was not ours counts as a failure."""
        if self.task.cancelled():
            return ConnectionAbortedError("the login was cancelled")
        error = self.task.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        return error

    @property
    def conn(self) -> C:
        """Its connection, once it is done without an error."""
        return self.task.result()

    def abandon(self) -> None:
        """End it now; without a goodbye, for a login that is cut off has nobody to say it to."""
        if self.task.done():
            self._terminate(self.task)
        else:
            self.task.cancel()
            self.task.add_done_callback(self._terminate)

    def _terminate(self, task: asyncio.Task[C]) -> None:
        # A cancelled login may have ended with a connection all the same (asyncio.wait_for does that on Python 3.11).
        if not task.cancelled() and task.exception() is None:
            self._registry.driver.terminate(task.result())

    async def _log_in(self) -> C:
        given = await resolve_password(self._endpoint)
        self.secret, self.speaking_since = given, self._loop.time()
        conn = await self._registry.driver.connect(self._endpoint, given)
        now = self._loop.time()
        if self._endpoint is self._member.endpoint:
            self._member.heard_at = now
            if self._member.usable:  # one that waited for a node to come back says nothing of how long a login takes
                self._member.latency.observe(now - self.speaking_since, now)
        return conn
