"""aiomysql's own connection, at less cost and true to its word about TLS. What it does with the server is aiomysql's business.

Rule: nothing that a user can see differs, but for the time it takes and for a login that is refused.
"""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, cast

import aiomysql
from pymysql.connections import MAX_PACKET_LEN
from pymysql.constants import CLIENT
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from .aiomysql_wire import drop
from .inlet import Inlet
from .mysql.reset import Session, restore

__all__ = ["Connection", "TlsConnection", "Usual"]

_HEADER = 4
"""Bytes before each packet: its length, and its number."""
_COLUMNS = 1000
"""So many definitions of columns are kept, for all connections together: nearly a megabyte."""
_ERROR = 0xFF
"""The first byte of an error packet."""


class Usual(NamedTuple):
    """A server's usual answer to a reset."""

    session: Session
    """What it was reset to."""
    answer: bytes
    status: int
    """The session's status afterwards."""


@lru_cache(_COLUMNS)
def _column(data: bytes, encoding: str) -> MysqlPacket:
    """A column's definition. Queries bring the same ones again and again, and nobody changes them."""
    return FieldDescriptorPacket(data, encoding)


class Connection(aiomysql.Connection):
    """A connection that costs us less, and is aiomysql's own in everything else.

    Its socket gets its options while it is being read: aiomysql stops the reading and resumes it, twice, for a twentieth of what
    a login costs us. A packet that is here already is taken as it is: aiomysql awaits each twice, and a result is five at least.
    """

    login: Session
    """What a reset leads back to; set when it is logged in."""
    inlet: Inlet
    """Where its bytes come in, once it is open."""
    usual: Usual | None = None
    """How the server has answered to the last reset, where that was plain."""

    async def _get_server_information(self) -> None:
        self._set_inlet()
        await super()._get_server_information()

    def _set_inlet(self) -> None:
        writer: Any = self._writer
        self.inlet = Inlet(writer.transport)

    def begin_reset(self, session: Session, answered: Callable[[bool], None]) -> bool:
        """As `TasklessReset.begin_reset`: not before a reset to the same session has shown how the server answers, and only where
        nobody reads and nothing is left to read.
        """
        usual, reader, result, inlet = self.usual, cast("Any", self._reader), self._result, self.inlet
        if usual is None or usual.session is not session:
            return False
        if self._writer is None or reader._buffer or reader._waiter is not None or inlet.transport.is_closing():
            return False
        if result is not None and (result.unbuffered_active or result.has_next):
            return False
        self._result = None
        restore(self, session)
        self.server_status = usual.status
        inlet.expect(usual.answer, answered)
        inlet.transport.write(session.commands)
        return True

    async def _read_packet(self, packet_type: type[MysqlPacket] = MysqlPacket) -> Any:
        packet = self._take_packet(packet_type)
        if packet is None and await self._more():
            packet = self._take_packet(packet_type)
        return await super()._read_packet(packet_type) if packet is None else packet

    async def _more(self) -> bool:
        """Wait for bytes; whether any came. What came instead, aiomysql sees for itself."""
        reader: Any = self._reader
        if reader.eof_received or reader.exception() is not None or len(reader._buffer) >= _HEADER:
            return False
        try:
            await reader._wait_for_data("_read_packet")
        except asyncio.CancelledError:
            self._close_on_cancel()
            raise
        except OSError:
            return False
        return True

    def _take_packet(self, packet_type: type[MysqlPacket]) -> MysqlPacket | None:
        """The next packet, if it is here whole and in its turn; everything else is aiomysql's to read and to judge."""
        reader: Any = self._reader
        buffer: bytearray = reader._buffer
        here = len(buffer)
        if here < _HEADER or buffer[3] != self._next_seq_id:
            return None
        end = _HEADER + (buffer[0] | buffer[1] << 8 | buffer[2] << 16)
        if here < end or end >= MAX_PACKET_LEN:
            return None
        data = bytes(buffer[_HEADER:end])
        del buffer[:end]
        if reader._paused:
            reader._maybe_resume_transport()
        self._next_seq_id = (self._next_seq_id + 1) % 256
        packet = packet_type(data, self._encoding) if packet_type is not FieldDescriptorPacket else _column(data, self._encoding)
        if data[0] == _ERROR:
            if self._result is not None:
                self._result.unbuffered_active = False
            packet.raise_for_error()
        return packet

    def _set_keep_alive(self) -> None:
        writer: Any = self._writer
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _set_nodelay(self, value: bool) -> None:
        pass  # it is on: asyncio's and uvloop's TCP transports set it when they are made


class TlsConnection(Connection):
    """A connection that keeps its word about TLS, when it logs in and when its `ping` reconnects.

    aiomysql logs in unencrypted, and so would hand a password to whoever stands in between, when the greeting says that
    the server cannot encrypt. The greeting is the last moment to refuse; aiomysql has no hook there.
    """

    tls_required = True

    async def _get_server_information(self) -> None:
        await super()._get_server_information()
        if self.tls_required and not self.server_capabilities & CLIENT.SSL:
            raise aiomysql.OperationalError(2026, "TLS is required (sslmode), but the server does not offer it")

    async def _connect(self) -> None:
        await super()._connect()
        writer: Any = self._writer
        if self.inlet.transport is not writer.transport:  # encrypted now
            self._set_inlet()

    def _close_on_cancel(self) -> None:
        drop(self)  # closing would wait for the server's part of TLS's farewell, half a minute on a silent one
        super()._close_on_cancel()
