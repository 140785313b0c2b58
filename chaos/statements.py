"""The two statements of the stand, for each driver whose connection one may have in hand.

Rule: the table is `id`, filled by the server with values that collide on no node, and `k`, the key; no key is unique to the
server, so that a unit that ran twice shows as a key that is there twice and not as an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["DRIVERS", "STATEMENTS", "Statements"]


class Statements(Protocol):
    """Append and read, on a driver's own connection."""

    async def append(self, conn: Any, table: str, key: str) -> None:
        """Add a key, in whatever transaction is open."""
        ...

    async def read(self, conn: Any, table: str) -> object:
        """Look at the table."""
        ...


class _Mysql:
    async def append(self, conn: Any, table: str, key: str) -> None:
        async with conn.cursor() as cursor:
            await cursor.execute(f"INSERT INTO {table} (k) VALUES (%s)", (key,))

    async def read(self, conn: Any, table: str) -> object:
        async with conn.cursor() as cursor:
            await cursor.execute(f"SELECT MAX(id) FROM {table}")
            return await cursor.fetchone()


class _Asyncpg:
    async def append(self, conn: Any, table: str, key: str) -> None:
        await conn.execute(f"INSERT INTO {table} (k) VALUES ($1)", key)

    async def read(self, conn: Any, table: str) -> object:
        return await conn.fetchval(f"SELECT MAX(id) FROM {table}")


class _Psycopg:
    async def append(self, conn: Any, table: str, key: str) -> None:
        await conn.execute(f"INSERT INTO {table} (k) VALUES (%s)", (key,))

    async def read(self, conn: Any, table: str) -> object:
        return await (await conn.execute(f"SELECT MAX(id) FROM {table}")).fetchone()


DRIVERS: Mapping[str, str] = {"galera": "aiomysql", "postgres": "asyncpg"}
"""By engine, the driver that is used unless another is asked for."""

STATEMENTS: Mapping[str, Statements] = {"aiomysql": _Mysql(), "asyncmy": _Mysql(), "asyncpg": _Asyncpg(), "psycopg": _Psycopg()}
"""By driver."""
