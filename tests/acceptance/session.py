"""One connection, spoken to in the same words on MySQL and PostgreSQL. Every statement is committed at once.

The one place that knows how the databases and their drivers differ. Parameters are written `?`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any, Protocol

__all__ = ["MysqlSession", "PostgresSession", "Session", "all_are_full", "is_missing_table", "session"]

_REFUSED = {1040, 1203, "53300"}
_MISSING = {1146, "42P01"}


class Session(Protocol):
    """What the tests do with a connection."""

    async def execute(self, sql: str, *parameters: Any) -> int:
        """Run a statement; the number of affected rows."""
        ...

    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query; its rows."""
        ...

    async def max_connections(self) -> int:
        """How many connections the server takes from ordinary users."""
        ...

    async def takes_writes(self) -> bool:
        """Whether this node takes writes, and not only what it replicates."""
        ...

    async def read_causally(self) -> bool:
        """Let reads wait for what was committed elsewhere before them; False where the database cannot."""
        ...


class MysqlSession:
    """aiomysql, and every driver with cursors like its own."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn

    async def execute(self, sql: str, *parameters: Any) -> int:
        async with self._conn.cursor() as cursor:
            await cursor.execute(sql.replace("?", "%s"), parameters)
            count = cursor.rowcount
        await self._conn.commit()
        return int(count)

    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        async with self._conn.cursor() as cursor:
            await cursor.execute(sql.replace("?", "%s"), parameters)
            rows = await cursor.fetchall()
        await self._conn.commit()  # ends the snapshot: the next read sees what came meanwhile
        return [tuple(row) for row in rows]

    async def max_connections(self) -> int:
        return int((await self.rows("SELECT @@max_connections"))[0][0])

    async def takes_writes(self) -> bool:
        return bool((await self.rows("SELECT @@global.read_only"))[0][0] == 0)

    async def read_causally(self) -> bool:
        if ("wsrep_on", "ON") not in await self.rows("SHOW GLOBAL VARIABLES WHERE variable_name = 'wsrep_on'"):
            return False
        await self.execute("SET SESSION wsrep_sync_wait = 1")
        return True


class PostgresSession:
    """asyncpg."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn

    async def execute(self, sql: str, *parameters: Any) -> int:
        status: str = await self._conn.execute(_numbered(sql), *parameters)
        last = status.split()[-1]
        return int(last) if last.isdigit() else 0

    async def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self._conn.fetch(_numbered(sql), *parameters)]

    async def max_connections(self) -> int:
        names = ["max_connections", "superuser_reserved_connections", "reserved_connections"]  # the last from 16 on
        rows = await self.rows("SELECT name, setting::int FROM pg_settings WHERE name = ANY(?)", names)
        found: dict[str, int] = dict(rows)
        return found.pop("max_connections") - sum(found.values())

    async def takes_writes(self) -> bool:
        return not (await self.rows("SELECT pg_is_in_recovery()"))[0][0]

    async def read_causally(self) -> bool:
        return False


def _numbered(sql: str) -> str:
    number = itertools.count(1)
    return re.sub(r"\?", lambda _: f"${next(number)}", sql)


def session(conn: Any) -> Session:
    """The session of a driver's native connection."""
    return PostgresSession(conn) if hasattr(conn, "fetch") else MysqlSession(conn)


def _code(error: BaseException) -> object:
    return getattr(error, "sqlstate", None) or (error.args[0] if error.args else None)


def all_are_full(errors: Sequence[BaseException]) -> bool:
    """Whether every node has refused a login because it has no connection left."""
    return all(_code(error) in _REFUSED for error in errors)


def is_missing_table(error: BaseException) -> bool:
    """Whether a statement failed because its table does not exist."""
    return _code(error) in _MISSING
