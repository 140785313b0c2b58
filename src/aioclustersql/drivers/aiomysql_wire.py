"""How the rooms of the aiomysql driver talk to a server: statements without a result, rows, and what is in an answer.

Rule: every answer is read here or by aiomysql itself, so that the status which aiomysql keeps of a session stays true.
"""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

import aiomysql
from pymysql.constants import COMMAND
from pymysql.protocol import OKPacketWrapper

__all__ = ["answer", "drop", "error_code", "is_on", "rows", "run", "text"]

_NO_ROWS = b"\0\0\0"
"""How the answer to a statement that changes no row begins: success, no row, no new key."""
_STATUS = Struct("<3xHH")
"""What follows that: the session's status, and the number of warnings."""


async def run(conn: aiomysql.Connection, *statements: str) -> int:
    """Run statements without a result, in one round trip; the first that fails ends it. The warnings of the last one.

    Reads the answers itself, because `conn.query` costs twice as much of our time.
    """
    await conn._execute_command(COMMAND.COM_QUERY, ";".join(statements))
    try:
        warnings = await answer(conn)
    except aiomysql.ProgrammingError:
        if len(statements) == 1:
            raise
        for statement in statements:  # a proxy between that takes one statement at a time
            warnings = await run(conn, statement)
        return warnings
    for _ in statements[1:]:
        warnings = await answer(conn)
    return warnings


async def answer(conn: aiomysql.Connection) -> int:
    """Read one answer without a result: the session's status becomes `conn.server_status`, the warnings are returned."""
    packet = await conn._read_packet()
    data: bytes = packet.get_all_data()
    warnings: int
    if data.startswith(_NO_ROWS) and len(data) >= _STATUS.size:
        conn.server_status, warnings = _STATUS.unpack_from(data)
    else:
        ok = OKPacketWrapper(packet)
        conn.server_status, warnings = ok.server_status, ok.warning_count
    return warnings


async def rows(conn: aiomysql.Connection, sql: str) -> Sequence[tuple[Any, ...]]:
    """The rows of a query, as tuples whatever cursor class the user has chosen."""
    async with conn.cursor(aiomysql.Cursor) as cursor:
        await cursor.execute(sql)
        found: Sequence[tuple[Any, ...]] = await cursor.fetchall()
        return found


def error_code(exc: BaseException) -> int | None:
    """The error code of the server or the client library; 0 counts as none."""
    return exc.args[0] if isinstance(exc, aiomysql.Error) and exc.args and isinstance(exc.args[0], int) and exc.args[0] else None


def is_on(value: object) -> bool:
    """A boolean system variable's value: a number or a word."""
    return text(value).upper() not in ("0", "OFF")


def text(value: object) -> str:
    """A value as text; with `use_unicode=False` words are bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def drop(conn: aiomysql.Connection) -> None:
    """Cut the socket off. Not by aiomysql's close(): that waits for TLS's farewell, and it takes the reader away, so that a
    task in the middle of a result would stumble over None."""
    writer, conn._writer = conn._writer, None
    if writer is not None:
        writer.transport.abort()
