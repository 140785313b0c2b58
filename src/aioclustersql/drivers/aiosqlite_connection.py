"""aiosqlite's own connection, whose thread always ends: also when a login is cancelled, or the event loop is gone by then.

Rule: the file is closed in the thread that opened it, and nobody waits for that but `close`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import aiosqlite
from aiosqlite.core import _STOP_RUNNING_SENTINEL

__all__ = ["Connection", "Session"]

T = TypeVar("T")

_JOIN = 1.0
"""Seconds; the thread has nothing left to do when it is waited for."""


class Session(NamedTuple):
    """What a reset leads back to."""

    pragmas: Mapping[str, Any]
    row_factory: Any
    text_factory: Any
    isolation_level: Any
    whole: bool
    """Whether everything could be asked for."""


class Connection(aiosqlite.Connection):
    """A connection to a file; aiosqlite's own in all that a user can see."""

    login: Session
    """Set when it is opened."""
    inside: bool = False
    """Whether a transaction was open when it was closed."""

    def __init__(self, path: str, iter_chunk_size: int, options: Mapping[str, Any]) -> None:
        self._file: sqlite3.Connection | None = None

        def open_file() -> sqlite3.Connection:
            self._file = sqlite3.connect(path, **options)
            return self._file

        super().__init__(open_file, iter_chunk_size)

    @property
    def closed(self) -> bool:
        """Whether it was closed, or is being closed."""
        return not self._running or self._connection is None

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run that in the connection's thread. Raises `sqlite3.ProgrammingError` when it is closed."""
        if self.closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        return result

    def stop(self) -> asyncio.Future[Any] | None:
        """As aiosqlite's, but that a file is closed which nobody got to see, because its opening was cancelled."""
        future: asyncio.Future[Any] | None = None
        with suppress(RuntimeError):
            future = asyncio.get_running_loop().create_future()
        self._end(future)
        return future

    def cut(self) -> None:
        """Close it as soon as its thread can; what is under way there is interrupted, and fails."""
        file = self._file
        if file is not None:
            with suppress(sqlite3.ProgrammingError):  # its thread has closed it this very moment
                if self._running:
                    self.inside = file.in_transaction
                file.interrupt()
        if self._running:
            self._end(None)

    def _end(self, future: asyncio.Future[Any] | None) -> None:
        self._running = False

        def close_file() -> object:
            self._connection = None
            if self._file is not None:
                self._file.close()
                self._file = None
            return _STOP_RUNNING_SENTINEL

        self._tx.put_nowait((future, close_file))

    def join(self) -> None:
        """Wait for the thread, which has been told to end and has done so, but for its very last steps."""
        if self._thread.is_alive():
            self._thread.join(_JOIN)
