"""The two units of the MySQL peers: a cursor from wherever a peer has it, one statement, autocommit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from aioclustersql.drivers.mysql.errors import classify_code
from aioclustersql.failure import FailureKind
from chaos.clients.sending import Sending, left_open
from chaos.clients.sql import insert, newest

__all__ = ["ByCursor", "meaning_of"]


class ByCursor(ABC):
    """A client whose connections have cursors; what is abstract is its library's own."""

    async def open(self, urls: Mapping[str, str], table: str) -> None:  # noqa: ARG002 - who inherits needs them
        """As `Client.open`."""
        self._insert, self._newest = insert(table, "%s"), newest(table)

    async def append(self, key: str) -> None:
        """As `Client.append`."""
        with Sending() as unit:
            async with self.cursor() as cursor:
                unit.sends()
                await cursor.execute(self._insert, (key,))
                unit.answered()

    async def read(self) -> None:
        """As `Client.read`."""
        async with self.cursor() as cursor:
            await cursor.execute(self._newest)
            await cursor.fetchall()

    def unknown(self, error: BaseException) -> bool:
        """As `Client.unknown`."""
        return left_open(error, self.meaning(error))

    @abstractmethod
    def cursor(self) -> AbstractAsyncContextManager[Any]:
        """A cursor of a connection, for one unit."""

    @abstractmethod
    def meaning(self, error: BaseException) -> FailureKind | None:
        """What the code of an error says; None where there is none."""


def meaning_of(code: object, error: BaseException) -> FailureKind | None:
    """What a code of the server or of the client library says."""
    return (classify_code(code, str(error)) or FailureKind.OTHER) if isinstance(code, int) else None
