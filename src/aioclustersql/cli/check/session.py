"""One connection, spoken to in the same words on MySQL and PostgreSQL. Every statement is committed at once.

The one place that knows how the databases and their drivers differ in how they are spoken to. Parameters are written `?`.
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

__all__ = ["Mysql", "Postgres", "Session", "UnknownDriver", "all_are_full", "is_missing_table", "session"]

_REFUSED = {1040, 1203, "53300"}
_MISSING = {1146, "42P01"}
_UNTOLD = {1142, 1227, 1064}
"""No right to ask, or no such statement."""


class UnknownDriver(Exception):
    """Nobody has taught this file how to speak to connections of that class."""


class Session(ABC):
    """What is done with a connection here."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn

    @abstractmethod
    async def execute(self, sql: str, *parameters: Any) -> int:
        """Run a statement; the number of affected rows."""

    @abstractmethod
    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query; its rows."""

    @abstractmethod
    async def max_connections(self) -> int:
        """How many connections the server takes from ordinary users."""

    @abstractmethod
    async def clock(self) -> datetime:
        """What time it is there."""

    @abstractmethod
    async def takes_writes(self) -> bool:
        """Whether this node takes writes, and not only what it replicates."""

    @abstractmethod
    async def follows(self) -> bool | None:
        """Whether this node replicates from another; None: we may not ask."""

    @abstractmethod
    async def read_causally(self) -> bool:
        """Let reads wait for what was committed elsewhere before them; False where the database cannot."""

    @abstractmethod
    async def keep_quiet(self) -> None:
        """Let IF EXISTS and IF NOT EXISTS give no warning."""


class Mysql(Session):
    """aiomysql, and every driver with cursors like its own."""

    async def execute(self, sql: str, *parameters: Any) -> int:
        await self._commit_each()
        async with self._conn.cursor() as cursor:
            await cursor.execute(sql.replace("?", "%s"), parameters)
            count = cursor.rowcount
        return int(count)

    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        await self._commit_each()
        async with self._conn.cursor() as cursor:
            await cursor.execute(sql.replace("?", "%s"), parameters)
            return [tuple(row.values() if isinstance(row, dict) else row) for row in await cursor.fetchall()]

    async def _commit_each(self) -> None:
        """So no statement holds a table that somebody may want to drop; a node that is not ready would refuse a COMMIT."""
        if not self._conn.get_autocommit():
            await self._conn.autocommit(True)

    async def max_connections(self) -> int:
        return int((await self.rows("SELECT @@max_connections"))[0][0])

    async def clock(self) -> datetime:
        found: datetime = (await self.rows("SELECT UTC_TIMESTAMP(6)"))[0][0]
        return found.replace(tzinfo=UTC)

    async def takes_writes(self) -> bool:
        return str((await self.rows("SELECT @@global.read_only"))[0][0]).upper() in ("0", "OFF")

    async def follows(self) -> bool | None:
        for statement in ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS"):  # the second one is for servers before 2020
            try:
                return bool(await self.rows(statement))
            except Exception as error:
                if _code(error) not in _UNTOLD:
                    raise
        return None

    async def read_causally(self) -> bool:
        if ("wsrep_on", "ON") not in await self.rows("SHOW GLOBAL VARIABLES WHERE variable_name = 'wsrep_on'"):
            return False
        await self.execute("SET SESSION wsrep_sync_wait = 1")
        return True

    async def keep_quiet(self) -> None:
        await self.execute("SET SESSION sql_notes = 0")


class Postgres(Session):
    """asyncpg."""

    async def execute(self, sql: str, *parameters: Any) -> int:
        status: str = await self._conn.execute(_numbered(sql), *parameters)
        last = status.split()[-1]
        return int(last) if last.isdigit() else 0

    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self._conn.fetch(_numbered(sql), *parameters)]

    async def max_connections(self) -> int:
        names = ["max_connections", "superuser_reserved_connections", "reserved_connections"]  # the last from 16 on
        rows = await self.rows("SELECT name, setting::int FROM pg_settings WHERE name = ANY(?)", names)
        found: dict[str, int] = dict(cast("list[tuple[str, int]]", rows))
        return found.pop("max_connections") - sum(found.values())

    async def clock(self) -> datetime:
        found: datetime = (await self.rows("SELECT clock_timestamp()"))[0][0]
        return found

    async def takes_writes(self) -> bool:
        return not await self.follows()

    async def follows(self) -> bool:
        return bool((await self.rows("SELECT pg_is_in_recovery()"))[0][0])

    async def read_causally(self) -> bool:
        return False

    async def keep_quiet(self) -> None:
        pass  # its notices are kept by the driver for whoever asks


class Psycopg(Postgres):
    """psycopg, which answers with cursors, and commits when it is told to."""

    async def execute(self, sql: str, *parameters: Any) -> int:
        cursor = await self._conn.execute(sql.replace("?", "%s"), parameters)
        await self._conn.commit()
        return max(0, int(cursor.rowcount))

    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = await self._conn.execute(sql.replace("?", "%s"), parameters)
        found = [tuple(row) for row in await cursor.fetchall()]
        await self._conn.commit()
        return found


_SESSIONS: Mapping[str, type[Session]] = {"aiomysql": Mysql, "asyncmy": Mysql, "asyncpg": Postgres, "psycopg": Psycopg}
"""By the package that a connection's class comes from."""


def session(conn: Any) -> Session:
    """The session of a driver's native connection. Raises `UnknownDriver`."""
    packages = [each.__module__.partition(".")[0] for each in type(conn).__mro__]
    for package in packages:
        if package in _SESSIONS:
            return _SESSIONS[package](conn)
    raise UnknownDriver(f"connections of {packages[0]} are not known to the check")


def _numbered(sql: str) -> str:
    number = itertools.count(1)
    return re.sub(r"\?", lambda _: f"${next(number)}", sql)


def _code(error: BaseException) -> object:
    return getattr(error, "sqlstate", None) or (error.args[0] if error.args else None)


def all_are_full(errors: Sequence[BaseException]) -> bool:
    """Whether every node has refused a login because it has no connection left."""
    return all(_code(error) in _REFUSED for error in errors)


def is_missing_table(error: BaseException) -> bool:
    """Whether a statement failed because its table does not exist."""
    return _code(error) in _MISSING
