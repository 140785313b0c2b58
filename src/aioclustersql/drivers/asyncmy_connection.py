"""asyncmy's own connection, true to its word: about TLS, about being closed, and about the sockets it has opened.

Rule: nothing that a user can see differs, but for a login that is refused and for a connection that says so when it is lost.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import asyncmy
from asyncmy import errors
from asyncmy.charset import charset_by_name
from asyncmy.cursors import Cursor, DictCursor
from asyncmy.protocol import OKPacketWrapper

from .mysql.reset import Session
from .mysql.wire import Wire

__all__ = ["WIRE", "AsyncmyWire", "Connection", "drop"]

_CLIENT_SSL = 1 << 11


class Connection(asyncmy.Connection):
    """A connection that refuses what asyncmy would not, and is asyncmy's own in everything else.

    With TLS preferred a server that cannot encrypt is talked to in the clear (asyncmy would ask it to encrypt all the same); with
    TLS required it is refused before anything secret is sent. `connected` tells an end that the server has made, too.
    """

    login: Session
    """What a reset leads back to; set when it is logged in."""
    tls_required: bool = False

    # asyncmy's own, which its stubs leave out
    autocommit_mode: bool | None
    server_capabilities: int
    _client_flag: int
    _connected: bool
    _host: str
    _port: int
    _ssl_context: ssl.SSLContext | None
    _stream_broken: bool
    _unix_socket: str | None

    @property
    def connected(self) -> bool:
        """Whether it is open, as far as this side can know; asyncmy's own says so of lost ones too."""
        return self._connected and not self._stream_broken

    async def _get_server_information(self) -> None:
        await super()._get_server_information()  # type: ignore[misc]
        if self._ssl_context is None or self.server_capabilities & _CLIENT_SSL:
            return
        if self.tls_required:
            raise errors.OperationalError(2026, "TLS is required (sslmode), but the server does not offer it")
        self._ssl_context = None
        self._client_flag &= ~_CLIENT_SSL

    def _close_on_cancel(self) -> None:
        drop(self)  # closing would wait for the server's part of TLS's farewell, half a minute on a silent one
        super()._close_on_cancel()  # type: ignore[misc]


class AsyncmyWire(Wire):
    """asyncmy's part of `mysql.wire`."""

    error = errors.Error
    operational_error = errors.OperationalError
    programming_error = errors.ProgrammingError
    ok_packet = OKPacketWrapper

    def read(self, conn: Any) -> Coroutine[Any, Any, Any]:
        packet: Coroutine[Any, Any, Any] = conn.read_packet()
        return packet

    async def rows(self, conn: Any, sql: str) -> Sequence[tuple[Any, ...]]:
        async with conn.cursor(Cursor) as cursor:
            await cursor.execute(sql)
            found: Sequence[tuple[Any, ...]] = await cursor.fetchall()
            return found

    async def named_rows(self, conn: Any, sql: str) -> Sequence[Mapping[str, Any]]:
        async with conn.cursor(DictCursor) as cursor:
            await cursor.execute(sql)
            found: Sequence[Mapping[str, Any]] = await cursor.fetchall()
            return found

    def drop(self, conn: Any) -> None:
        drop(conn)

    def check_alive(self, conn: Any) -> None:
        if not conn._connected:
            raise errors.InterfaceError(0, conn._close_reason or "Not connected")

    def set_up_by(self, conn: Any) -> tuple[str | None, str | None]:
        return conn._sql_mode, conn._init_command

    def database(self, conn: Any) -> str | None:
        name = conn._db  # text until the login, bytes after it
        return name.decode(conn._encoding) if isinstance(name, bytes) else name

    def collation(self, charset: str) -> str:
        return str(charset_by_name(charset).collation)

    def forget_statements(self, conn: Any) -> None:
        conn._stmt_cache.clear()


def drop(conn: Any) -> None:
    """Cut the socket off, at once: asyncmy's close() would wait for TLS's farewell. Who reads there is told that it was lost."""
    transport: asyncio.Transport | None = conn._transport
    conn._transport = None
    conn._connected = False
    if transport is not None:
        transport.abort()


WIRE = AsyncmyWire()
