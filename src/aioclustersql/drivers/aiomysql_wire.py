"""aiomysql's part of `mysql.wire`: its packets, its cursors, its errors, and how its sockets are cut off."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import aiomysql
from pymysql.charset import charset_by_name
from pymysql.protocol import OKPacketWrapper

from .mysql.wire import Wire

__all__ = ["WIRE", "AiomysqlWire", "drop"]


class AiomysqlWire(Wire):
    """As `Wire`."""

    error = aiomysql.Error
    operational_error = aiomysql.OperationalError
    programming_error = aiomysql.ProgrammingError
    ok_packet = OKPacketWrapper

    def read(self, conn: Any) -> Coroutine[Any, Any, Any]:
        packet: Coroutine[Any, Any, Any] = conn._read_packet()
        return packet

    async def rows(self, conn: Any, sql: str) -> Sequence[tuple[Any, ...]]:
        async with conn.cursor(aiomysql.Cursor) as cursor:
            await cursor.execute(sql)
            found: Sequence[tuple[Any, ...]] = await cursor.fetchall()
            return found

    async def named_rows(self, conn: Any, sql: str) -> Sequence[Mapping[str, Any]]:
        async with conn.cursor(aiomysql.DictCursor) as cursor:
            await cursor.execute(sql)
            found: Sequence[Mapping[str, Any]] = await cursor.fetchall()
            return found

    def drop(self, conn: Any) -> None:
        drop(conn)

    def check_alive(self, conn: Any) -> None:
        conn._ensure_alive()

    def set_up_by(self, conn: Any) -> tuple[str | None, str | None]:
        return conn.sql_mode, conn.init_command

    def database(self, conn: Any) -> str | None:
        name: str | None = conn._db
        return name

    def collation(self, charset: str) -> str:
        return str(charset_by_name(charset).collation)


def drop(conn: Any) -> None:
    """Cut the socket off. Not by aiomysql's close(): that waits for TLS's farewell, and it takes the reader away, so that a
    task in the middle of a result would stumble over None."""
    writer, conn._writer = conn._writer, None
    if writer is not None:
        writer.transport.abort()


WIRE = AiomysqlWire()
