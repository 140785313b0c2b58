"""A watch's connections to its node: the reserved one with its probe, the login that is the second witness, a spare.

It begins and ends them; what their answers mean is for `watch` to say. Rule: each has one owner, this, until it is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from ..drivers.base import Observation
from .attempt import GOODBYE
from .disposal import Disposal
from .member import Member
from .registry import Registry
from .witness import Witness

__all__ = ["Answer", "Line"]

C = TypeVar("C")


class Answer(NamedTuple):
    """What a node says of itself, and how many seconds one round trip to it takes.

    That is measured by a ping: what a lease waits for is as short, while a probe of a Galera node takes five times as long.
    """

    seen: Observation
    round_trip: float | None


class Line(Generic[C]):
    """What a watch has under way with its node."""

    def __init__(self, registry: Registry[C], disposal: Disposal[C], member: Member[C], loop: asyncio.AbstractEventLoop) -> None:
        self._registry = registry
        self._disposal = disposal
        self._member = member
        self._loop = loop
        self._ending: set[asyncio.Task[Any]] = set()
        self.conn: C | None = None
        """The reserved connection."""
        self.proven = False
        """Whether it has answered a probe."""
        self.spare: C | None = None
        """What came of a login while there is a reserved connection."""
        self.probe: asyncio.Task[Answer] | None = None
        self.login: Witness[C] | None = None

    @property
    def pending(self) -> list[asyncio.Future[Any]]:
        """What may be answered yet."""
        return [task for task in self._under_way() if not task.done()]

    @property
    def answered(self) -> bool:
        """Whether there is an answer that was not taken yet."""
        return any(task.done() for task in self._under_way())

    def _under_way(self) -> list[asyncio.Future[Any]]:
        tasks: list[asyncio.Future[Any] | None] = [self.probe, self.login.task if self.login is not None else None]
        return [task for task in tasks if task is not None]

    @property
    def connections(self) -> Iterable[C]:
        """Its open connections."""
        return [conn for conn in (self.conn, self.spare) if conn is not None]

    def ask(self) -> None:
        """See that a question is under way: a probe, or without a connection a login."""
        if self.conn is None:
            if self.login is None:
                self.log_in()
        elif self.probe is None:
            self.probe = self._loop.create_task(
                self._question(self.conn, causal=self._member.must_sync),
                name=f"aioclustersql:{self._registry.cluster}:probe:{self._member.name}",
            )

    async def _question(self, conn: C, *, causal: bool) -> Answer:
        seen = await self._registry.driver.probe(conn, causal=causal)
        if not seen.ready:
            return Answer(seen, None)
        began = self._loop.time()
        await self._registry.driver.ping(conn)
        return Answer(seen, self._loop.time() - began)

    def log_in(self) -> None:
        """Begin a new login; one that is under way is given up."""
        self.hang_up_login()
        self.login = Witness(self._registry, self._member, self._loop)

    def take_login(self) -> None:
        """A login has succeeded: its connection is the reserved one, or a spare."""
        assert self.login is not None  # noqa: S101 - the caller has seen it
        conn, self.login = self.login.conn, None
        if self.conn is None:
            self.conn, self.proven = conn, False
        else:
            self.spare = conn

    def use_spare(self) -> None:
        """Where the reserved connection does not answer and a newer one does, that is the reserved one."""
        if self.spare is not None:
            spare, self.spare = self.spare, None
            self.hang_up()
            self.conn = spare

    def dismiss_spare(self) -> None:
        """The reserved connection answered: say goodbye to the other."""
        if self.spare is not None:
            spare, self.spare = self.spare, None
            self._disposal.close(self._registry.driver, spare, GOODBYE)

    def hang_up(self) -> None:
        """Close the reserved connection at once, and with it the probe."""
        if self.probe is not None:
            self._let_go(self.probe)
            self.probe.cancel()
            self.probe = None
        if self.conn is not None:
            self._registry.driver.terminate(self.conn)
        self.conn, self.proven = None, False

    def hang_up_login(self) -> None:
        """Give up the login."""
        if self.login is not None:
            self._let_go(self.login.task)
            self.login.abandon()
            self.login = None

    def drop(self) -> None:
        """End everything at once."""
        if self.spare is not None:
            self._registry.driver.terminate(self.spare)
            self.spare = None
        self.hang_up()
        self.hang_up_login()

    async def close(self, within: float) -> None:
        """End everything within so many seconds, half of them for the answers that are due, the rest for goodbyes.

        A connection in the midst of a question takes no goodbye, and MySQL counts it as aborted.
        """
        if pending := self.pending:
            await asyncio.wait(pending, timeout=within / 2.0)
        if self.probe is not None and not _is_well(self.probe):
            self.hang_up()
        self.probe = None
        if self.login is not None and self.login.task.done() and self.login.error is None:
            self.take_login()
        goodbyes = [self._disposal.close(self._registry.driver, conn, within / 2.0) for conn in self.connections]
        if goodbyes:
            await asyncio.wait(goodbyes)
        self.conn = self.spare = None
        self.drop()
        while self._ending:
            await asyncio.wait(self._ending)

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()  # seen; nobody waits for it any more


def _is_well(task: asyncio.Task[Any]) -> bool:
    """Whether it has ended with a result."""
    return task.done() and not task.cancelled() and task.exception() is None
