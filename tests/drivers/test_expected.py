"""An expected answer is taken without a task; everything else reaches the connection's own protocol, whole and in its order."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from aioclustersql.drivers.expected import ExpectedAnswer

EXPECTED = b"as ever"


class Own(asyncio.Protocol):
    """A connection's own protocol, and what has reached it."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def data_received(self, data: bytes) -> None:
        self.seen.append(data)

    def eof_received(self) -> bool:
        self.seen.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen.append(exc)

    def pause_writing(self) -> None:
        self.seen.append("pause")

    def resume_writing(self) -> None:
        self.seen.append("resume")


class Transport:
    """A transport's protocol may be another at any time."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.Protocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol


class Stand:
    """One answer that is waited for."""

    def __init__(self) -> None:
        self.own = Own()
        self.transport = Transport(self.own)
        self.ended: list[bool] = []
        ExpectedAnswer(cast("asyncio.Transport", self.transport), EXPECTED, self.ended.append)

    def arrive(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.transport.protocol.data_received(piece)


@pytest.mark.parametrize("pieces", [(EXPECTED,), (b"as", b" ever"), tuple(EXPECTED[at : at + 1] for at in range(len(EXPECTED)))])
def test_what_is_expected_reaches_nobody_else(pieces: tuple[bytes, ...]) -> None:
    stand = Stand()
    stand.arrive(*pieces[:-1])
    assert (stand.ended, stand.transport.protocol is stand.own) == ([], False)
    stand.arrive(pieces[-1])
    assert (stand.ended, stand.own.seen, stand.transport.protocol) == ([True], [], stand.own)
    stand.arrive(b"the next")
    assert stand.own.seen == [b"the next"]


@pytest.mark.parametrize(
    ("pieces", "seen"),
    [
        ((b"another",), [b"another"]),
        ((b"as", b" never"), [b"as never"]),
        ((b"as ever, and more",), [b"as ever, and more"]),
        ((b"as eve", b"!", b" more"), [b"as eve!", b" more"]),
    ],
)
def test_what_is_not_expected_is_the_connections_own(pieces: tuple[bytes, ...], seen: list[object]) -> None:
    stand = Stand()
    stand.arrive(*pieces)
    assert (stand.ended, stand.own.seen, stand.transport.protocol) == ([False], seen, stand.own)


@pytest.mark.parametrize("before", [(), (b"as",)])
def test_an_end_of_file_comes_after_what_has_come_before(before: tuple[bytes, ...]) -> None:
    stand = Stand()
    stand.arrive(*before)
    assert stand.transport.protocol.eof_received() is True
    assert (stand.ended, stand.own.seen, stand.transport.protocol) == ([False], [*before, "eof"], stand.own)


@pytest.mark.parametrize("cause", [None, ConnectionResetError("reset")])
def test_a_loss_is_told_to_both(cause: Exception | None) -> None:
    stand = Stand()
    stand.arrive(b"as")
    stand.transport.protocol.connection_lost(cause)
    assert (stand.ended, stand.own.seen, stand.transport.protocol) == ([False], [b"as", cause], stand.own)


def test_a_full_socket_concerns_the_connection_alone() -> None:
    stand = Stand()
    stand.transport.protocol.pause_writing()
    stand.transport.protocol.resume_writing()
    assert (stand.ended, stand.own.seen) == ([], ["pause", "resume"])
