"""Makes connections ready for their next user: resets what came back, asks what was idle for long whether it is alive.

Each in a kept, named task of its own, so that no user waits for it, and no cancel of a user's meets it half-way. Where a driver
can reset without one, what came back in one turn of the event loop is reset together at its end: of servers that are idle only
the first has to be woken, which costs more than all else of sending. Rule: a connection is in our hands until it is available
again or closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..drivers.base import TasklessReset
from ..node import Target
from ..policy.ledger import State
from .pooled import Pooled

if TYPE_CHECKING:
    from .pool import Pool

__all__ = ["CHECK_AFTER", "PATIENCE", "Returner"]

C = TypeVar("C")

CHECK_AFTER = 30.0
"""A connection that was idle for so many seconds is asked whether it is alive before it is leased."""
PATIENCE = 5.0
"""Seconds that a reset or a question may take; then the connection is cut off."""
_log = logging.getLogger("aioclustersql.pool")


class Returner(Generic[C]):
    """The resets and checks under way in one pool."""

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = pool
        self._driver = driver = pool.registry.driver
        self._quick: TasklessReset[C] | None = driver if isinstance(driver, TasklessReset) else None
        self._also = pool.settings.reset
        """What the user wants to be done besides."""
        self._tasks: dict[asyncio.Task[None], Pooled[C]] = {}
        self._due: list[Pooled[C]] = []
        """To be reset at the end of this turn of the loop, without a task where that can be."""
        self._taskless: set[Pooled[C]] = set()
        """Being reset without a task."""
        self._answers: asyncio.Future[None] | None = None
        """Done when none of them is left, while somebody waits for that."""
        self._name = f"aioclustersql:{pool.registry.cluster}:reset"

    def reset(self, slot: Pooled[C], now: float) -> None:
        """A lease ends: make its connection as good as new."""
        self._pool.ledger.give_back(slot, now)
        if self._quick is None:
            self._begin(slot, self._reset(slot))
            return
        if not self._due:
            self._pool.loop.call_soon(self._reset_due, self._quick)
        self._due.append(slot)

    def _reset_due(self, quick: TasklessReset[C]) -> None:
        """Begin the resets that are due."""
        due, self._due = self._due, []
        now = self._pool.loop.time()
        for slot in due:
            try:
                begun = quick.begin_reset(slot.conn, slot.baseline, partial(self._answered, quick, slot, now))
            except Exception as exc:  # noqa: BLE001 - the others are due all the same
                self._lost(slot, exc)
                continue
            if begun:
                self._taskless.add(slot)
            else:
                self._begin(slot, self._reset(slot))

    def check(self, slot: Pooled[C]) -> None:
        """See whether an idle connection is alive."""
        self._pool.ledger.look_at(slot, self._pool.loop.time())
        self._begin(slot, self._check(slot))

    def ask_role(self, slot: Pooled[C], target: Target) -> None:
        """See what a node of unknown role is, over a connection in our hands, for somebody who wants more than any node."""
        self._begin(slot, self._ask_role(slot, target))

    def _begin(self, slot: Pooled[C], doing: Coroutine[Any, Any, None]) -> None:
        task = self._pool.loop.create_task(doing, name=self._name)
        self._tasks[task] = slot
        task.add_done_callback(lambda done: self._ended(slot, done))

    def _ended(self, slot: Pooled[C], task: asyncio.Task[None]) -> None:
        """Unless it is back in the pool by now, close it."""
        del self._tasks[task]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._lost(slot, error)
        elif task.cancelled():
            self._pool.close(slot, abruptly=True)

    def _lost(self, slot: Pooled[C], error: BaseException) -> None:
        """It cannot be made ready: close it."""
        cluster = self._pool.registry.cluster
        _log.debug("cluster %s: node %s: a connection is not kept: %s", cluster, slot.node, slot.member.describe(error))
        if slot.state is State.RETURNING:
            self._pool.failed(slot, error)
        self._pool.close(slot)

    def _answered(self, quick: TasklessReset[C], slot: Pooled[C], began: float, as_usual: bool) -> None:
        """A reset without a task is over, or has to be finished in one."""
        self._taskless.discard(slot)
        if slot.state is State.RETURNING:  # else the pool has closed it meanwhile
            if not as_usual:
                self._begin(slot, self._finish_reset(slot, quick, began))
            elif self._also is not None:
                self._begin(slot, self._was_reset(slot, began))
            else:
                now = self._pool.loop.time()
                slot.member.heard(now, now - began)
                self._pool.answered(slot, now)
        if self._answers is not None and not self._taskless and not self._answers.done():
            self._answers.set_result(None)

    async def _reset(self, slot: Pooled[C]) -> None:
        began = self._pool.loop.time()
        await self._driver.reset(slot.conn, slot.baseline)
        await self._was_reset(slot, began)

    async def _finish_reset(self, slot: Pooled[C], quick: TasklessReset[C], began: float) -> None:
        await quick.finish_reset(slot.conn, slot.baseline)
        await self._was_reset(slot, began)

    async def _was_reset(self, slot: Pooled[C], began: float) -> None:
        now = self._pool.loop.time()
        slot.member.heard(now, now - began)
        if self._also is not None:
            await self._also(slot.conn)
            now = self._pool.loop.time()
        self._over(slot, now)

    async def _check(self, slot: Pooled[C]) -> None:
        await self._driver.ping(slot.conn)
        now = self._pool.loop.time()
        slot.member.heard(now, None)
        self._over(slot, now)

    async def _ask_role(self, slot: Pooled[C], target: Target) -> None:
        registry = self._pool.registry
        role = await self._driver.validate(slot.conn, registry.standing.to_ask(target))
        now = self._pool.loop.time()
        slot.member.heard(now, None)
        slot.validated_for = target
        if self._pool.ledger.is_good(slot, now):  # else the node may be another by now
            registry.learn_role(slot.member, role)
        self._over(slot, now)

    def _over(self, slot: Pooled[C], now: float) -> None:
        if slot.state is State.RETURNING:  # else the pool has closed it meanwhile
            self._pool.available(slot, now)

    async def wait(self, seconds: float) -> None:
        """Until all are over, for so many seconds at most."""
        deadline = self._pool.loop.time() + min(seconds, PATIENCE)
        await asyncio.sleep(0)  # what is due begins
        while (under_way := self._under_way()) and (left := deadline - self._pool.loop.time()) > 0.0:
            await asyncio.wait(under_way, timeout=left)

    def _under_way(self) -> list[asyncio.Future[None]]:
        if not self._taskless:
            return [*self._tasks]
        if self._answers is None or self._answers.done():
            self._answers = self._pool.loop.create_future()
        return [*self._tasks, self._answers]

    async def cut(self) -> None:
        """End all of them now, and their connections with them."""
        due, self._due = self._due, []
        self._cut_taskless([*due, *self._taskless])
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # their callbacks are due

    def cut_overdue(self) -> None:
        """Give up what takes too long."""
        since = self._pool.loop.time() - PATIENCE
        self._cut_taskless([slot for slot in self._taskless if slot.since <= since])
        for task, slot in self._tasks.items():
            if slot.since <= since:
                task.cancel()

    def _cut_taskless(self, slots: Iterable[Pooled[C]]) -> None:
        for slot in slots:
            self._taskless.discard(slot)
            self._pool.close(slot, abruptly=True)
