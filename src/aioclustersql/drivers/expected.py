"""An answer that is known in advance to the byte: waited for without a task, in place of the connection's own protocol.

Rule: what is not as expected, and every event but the data, goes to the connection's own protocol, untouched and in its order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

__all__ = ["ExpectedAnswer"]


class ExpectedAnswer(asyncio.Protocol):
    """Stands in for a transport's protocol until it has called `ended`, once.

    With True when exactly the expected bytes have come, which nobody else sees then; with False when something else has, or the
    end of the connection: all of that the connection's own protocol has by then.
    """

    __slots__ = ("_ended", "_expected", "_own", "_so_far", "_transport")

    def __init__(self, transport: asyncio.Transport, expected: bytes, ended: Callable[[bool], None]) -> None:
        self._transport = transport
        self._expected = expected
        self._ended = ended
        self._so_far = b""
        self._own = cast("asyncio.Protocol", transport.get_protocol())
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """As expected, a part of it, or something else."""
        if self._so_far:
            data = self._so_far + data
        if data == self._expected:
            self._transport.set_protocol(self._own)
            self._ended(True)
        elif self._expected.startswith(data):
            self._so_far = data
        else:
            self._so_far = data
            self._give_back()
            self._ended(False)

    def eof_received(self) -> bool | None:
        """The server has ended the connection."""
        self._give_back()
        keep_open = self._own.eof_received()
        self._ended(False)
        return keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        """It was cut off, on either side."""
        self._give_back()
        self._own.connection_lost(exc)
        self._ended(False)

    def pause_writing(self) -> None:
        """As the connection's own protocol."""
        self._own.pause_writing()

    def resume_writing(self) -> None:
        """As the connection's own protocol."""
        self._own.resume_writing()

    def _give_back(self) -> None:
        self._transport.set_protocol(self._own)
        if self._so_far:
            self._own.data_received(self._so_far)
