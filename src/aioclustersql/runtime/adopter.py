"""Takes over connections that lost their race, where the pool wants one: a login that was paid for is not thrown away.

Such a connection has neither been validated nor set up. Rule: nobody counts on an adoption, so one that fails is only closed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from ..node import Role, Target
from ..policy.ledger import Book
from .attempt import GOODBYE
from .member import Member
from .pooled import Pooled

if TYPE_CHECKING:
    from .pool import Pool

__all__ = ["Adopter"]

C = TypeVar("C")

_log = logging.getLogger("aioclustersql.pool")


class Adopter(Generic[C]):
    """The adoptions under way in one pool."""

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = pool
        self._tasks: set[asyncio.Task[tuple[Role, Pooled[C]]]] = set()
        self._stopped = False

    def adopt(self, member: Member[C], conn: C) -> bool:
        """Take over a connection, if it is wanted: for somebody who waits, or below `min_size`. False: it is the caller's."""
        pool = self._pool
        book = pool.ledger.books.get(member.name)
        if self._stopped or book is None or not pool.registry.is_current(member) or not pool.ledger.has_room(book):
            return False
        now = pool.loop.time()
        served = (wants for wants in pool.ledger.groups if book in pool.supply.of(wants, now).books)
        wants = next(served, None)
        if wants is None and book.size >= pool.ledger.limits.min_size:
            return False
        target = Target.ANY if wants is None else wants.target
        book.connecting += 1
        task = pool.loop.create_task(self._adopt(member, conn, target), name=f"aioclustersql:{pool.registry.cluster}:adopt")
        self._tasks.add(task)
        task.add_done_callback(partial(self._adopted, member, conn, book, book.generation))
        return True

    async def _adopt(self, member: Member[C], conn: C, target: Target) -> tuple[Role, Pooled[C]]:
        """Validate it and set it up. Returns its node's role, too."""
        pool, settings = self._pool, self._pool.settings
        async with asyncio.timeout(None if settings.connect_timeout == math.inf else settings.connect_timeout):
            role = await pool.registry.driver.validate(conn, pool.registry.standing.to_ask(target))
            baseline = await pool.set_up(conn) if settings.init is not None else None
            return role, Pooled(member, conn, baseline, target)

    def _adopted(
        self, member: Member[C], conn: C, book: Book, generation: int, task: asyncio.Task[tuple[Role, Pooled[C]]]
    ) -> None:
        pool = self._pool
        self._tasks.discard(task)
        book.connecting -= 1
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.debug("cluster %s: node %s: not adopted: %s", pool.registry.cluster, member.name, member.describe(error))
        if task.cancelled() or self._stopped:
            pool.registry.driver.terminate(conn)
        elif error is not None or generation != book.generation:
            pool.disposal.close(pool.registry.driver, conn, GOODBYE)
        else:
            role, slot = task.result()
            member.counters.connections += 1
            pool.registry.learn_role(member, role)
            pool.add(slot, book)
        if not self._stopped:
            pool.opener.go_on()

    def stop(self) -> None:
        """Adopt nothing any more."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def over(self) -> None:
        """After `stop`: until no adoption is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # their callbacks are due
