"""What `connect()` and `acquire()` return: to be awaited for a connection, or entered for one that is given back at the end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

from .node import Wants
from .runtime.engine import Engine
from .runtime.spans import Spans

__all__ = ["Acquiring", "Connecting", "Opening", "TracedAcquiring", "traced_connect"]

C = TypeVar("C")


class Opening(Coroutine[Any, Any, C], Generic[C]):
    """One call, used once. A coroutine, so that `create_task`, `gather` and task groups take it; nothing runs before."""

    __slots__ = ("_coroutine",)

    def __init__(self) -> None:
        self._coroutine: Coroutine[Any, Any, C] | None = None

    @abstractmethod
    def _open(self) -> Coroutine[Any, Any, C]:
        """What ends with the connection."""

    def __repr__(self) -> str:
        return f"<{self.__name__}, {'not awaited' if self._coroutine is None else 'begun'}>"

    @property
    @abstractmethod
    def __name__(self) -> str:
        """What a task that runs it shows."""

    def __await__(self) -> Generator[Any, Any, C]:
        return self._begin().__await__()

    def send(self, value: Any, /) -> Any:
        """As a coroutine's."""
        return (self._coroutine or self._begin()).send(value)

    def throw(self, *error: Any) -> Any:
        """As a coroutine's."""
        return (self._coroutine or self._begin()).throw(*error)

    def close(self) -> None:
        """As a coroutine's: give up one that was begun."""
        if self._coroutine is not None:
            self._coroutine.close()

    def _begin(self) -> Coroutine[Any, Any, C]:
        if self._coroutine is not None:
            name = self.__name__
            raise RuntimeError(f"this {name} was used already; call {name}() again for another connection")
        self._coroutine = self._open()
        return self._coroutine


class Connecting(Opening[C]):
    """A connect: `conn = await cluster.connect()`, or `async with cluster.connect() as conn: ...`, which closes it."""

    __slots__ = ("_close", "_conn", "_connect")

    def __init__(
        self, connect: Callable[[], Coroutine[Any, Any, C]], close: Callable[[C, BaseException | None], Awaitable[None]]
    ) -> None:
        super().__init__()
        self._connect = connect
        self._close = close

    @property
    def __name__(self) -> str:
        return "connect"

    def _open(self) -> Coroutine[Any, Any, C]:
        return self._connect()

    async def __aenter__(self) -> C:
        self._conn = await self._begin()
        return self._conn

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close(self._conn, exc)


class Acquiring(Opening[C]):
    """A lease: `conn = await cluster.acquire()`, given back by `release`, or `async with cluster.acquire() as conn: ...`."""

    __slots__ = ("_engine", "_interrupt", "_pool", "_slot", "_timeout", "_turn", "_wants")

    def __init__(self, engine: Engine[C], wants: Wants, timeout: float, interrupt: bool) -> None:
        self._coroutine = None
        self._engine = engine
        self._wants = wants
        self._timeout = timeout
        self._interrupt = interrupt

    @property
    def __name__(self) -> str:
        return "acquire"

    async def _open(self) -> C:
        pool = self._pool = self._engine.pool_here()
        slot = pool.take(self._wants)
        if slot is None:
            now = pool.loop.time()
            slot = await pool.queue.wait(self._wants, now, now + self._timeout)
        slot.interrupt = self._interrupt
        self._slot, self._turn = slot, slot.turn
        return slot.conn

    __aenter__ = _open

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        slot = self._slot
        if slot.turn == self._turn:  # else it was released by hand, and may be somebody else's by now
            self._pool.end(slot, exc)


class TracedAcquiring(Acquiring[C]):
    """The same as a span."""

    __slots__ = ()

    async def _open(self) -> C:
        spans = self._engine.registry.spans
        if spans is None:  # tracing has ended since
            return await super()._open()
        with spans.span("acquire", self._wants.target) as span:
            conn = await super()._open()
            span.served_by(self._slot.node, self._slot.member.endpoint.address)
            return conn

    __aenter__ = _open


async def traced_connect(engine: Engine[C], spans: Spans, target: str, connecting: Coroutine[Any, Any, C]) -> C:
    """A connect as a span."""
    with spans.span("connect", target) as span:
        conn = await connecting
        for member in engine.registry.members:
            if member.issued(conn):
                span.served_by(member.name, member.endpoint.address)
        return conn
