"""What `connect()` returns: to be awaited for a connection, or entered for one that is closed at the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

__all__ = ["Connecting"]

C = TypeVar("C")


class Connecting(Coroutine[Any, Any, C], Generic[C]):
    """One connect, used once. A coroutine, so that `create_task`, `gather` and task groups take it; nothing runs before.

    conn = await cluster.connect()
    async with cluster.connect() as conn: ...
    """

    __slots__ = ("_close", "_conn", "_coroutine", "_open")

    def __init__(self, open_: Callable[[], Coroutine[Any, Any, C]], close: Callable[[C], Awaitable[None]]) -> None:
        self._open = open_
        self._close = close
        self._coroutine: Coroutine[Any, Any, C] | None = None

    def __repr__(self) -> str:
        return f"<connect, {'not awaited' if self._coroutine is None else 'begun'}>"

    @property
    def __name__(self) -> str:
        """What a task that runs it shows."""
        return "connect"

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

    async def __aenter__(self) -> C:
        self._conn = await self._begin()
        return self._conn

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close(self._conn)

    def _begin(self) -> Coroutine[Any, Any, C]:
        if self._coroutine is not None:
            raise RuntimeError("this connect was used already; call connect() again for another connection")
        self._coroutine = self._open()
        return self._coroutine
