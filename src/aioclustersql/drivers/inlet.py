"""Where a connection's bytes come in, at less cost than asyncio's streams have it, and where an answer is known in advance.

Rule: but for an answer that is expected to the byte, all bytes and events reach the connection's own protocol, in their order.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import cast

__all__ = ["Inlet"]

_SIZE = 256 * 1024
"""Bytes read at once, at most: as many as by asyncio itself."""


class _Here(threading.local):
    """What is being read by a thread: between `get_buffer` and `buffer_updated` a loop does nothing else."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_SIZE))


_here = _Here()


class Inlet(asyncio.BufferedProtocol):
    """Stands before a transport's protocol, for good.

    asyncio makes 256 KiB for each read of such a protocol, and gives them back: that costs more than all else of a short read.
    """

    __slots__ = ("_ended", "_expected", "_own", "_so_far", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._own = cast("asyncio.Protocol", transport.get_protocol())
        self._ended: Callable[[bool], None] | None = None
        self._expected = self._so_far = b""
        transport.set_protocol(self)

    def expect(self, answer: bytes, ended: Callable[[bool], None]) -> None:
        """The next bytes are to be these. Nobody reads there, and nothing else is expected until `ended` is called, once.

        With True when exactly these have come, which nobody else sees then; with False when something else has, or the end of the
        connection: all of that the connection's own protocol has by then.
        """
        self._expected, self._ended = answer, ended

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the protocol's
        """Where to read to."""
        return _here.view

    def buffer_updated(self, nbytes: int) -> None:
        """So much has come."""
        data = bytes(_here.view[:nbytes])
        ended = self._ended
        if ended is None:
            self._own.data_received(data)
            return
        if self._so_far:
            data = self._so_far + data
        if data == self._expected:
            self._so_far, self._ended = b"", None
            ended(True)
        else:
            self._so_far = data
            if not self._expected.startswith(data):
                self._hand_on()
                self._give_up()

    def eof_received(self) -> bool | None:
        """The server has ended the connection."""
        self._hand_on()
        keep_open = self._own.eof_received()
        self._give_up()
        return keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        """It was cut off, on either side."""
        self._hand_on()
        self._own.connection_lost(exc)
        self._give_up()

    def pause_writing(self) -> None:
        """As the connection's own protocol."""
        self._own.pause_writing()

    def resume_writing(self) -> None:
        """As the connection's own protocol."""
        self._own.resume_writing()

    def _hand_on(self) -> None:
        data, self._so_far = self._so_far, b""
        if data:
            self._own.data_received(data)

    def _give_up(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(False)
