"""An expected answer is taken without a task; everything else reaches the connection's own protocol, whole and in its order."""

from __future__ import annotations

import asyncio
import threading
from typing import cast

import pytest

from aioclustersql.drivers.inlet import Inlet

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

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


class Stand:
    """An inlet, and what has reached the protocol behind it."""

    def __init__(self) -> None:
        self.own = Own()
        transport = Transport(self.own)
        self.inlet = Inlet(cast("asyncio.Transport", transport))
        assert transport.protocol is self.inlet
        self.ended: list[bool] = []

    def expect(self) -> None:
        self.inlet.expect(EXPECTED, self.ended.append)

    def arrive(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.inlet.get_buffer(-1)[: len(piece)] = piece
            self.inlet.buffer_updated(len(piece))


@pytest.fixture
def stand() -> Stand:
    """One at which an answer is expected."""
    stand = Stand()
    stand.expect()
    return stand


def test_what_comes_is_the_connections_own() -> None:
    stand = Stand()
    stand.arrive(b"one", EXPECTED, b"two")
    assert stand.inlet.eof_received() is True
    stand.inlet.connection_lost(None)
    assert (stand.own.seen, stand.ended) == ([b"one", EXPECTED, b"two", "eof", None], [])


def test_what_has_come_stays_as_it_was_when_more_comes() -> None:
    one, other = Stand(), Stand()
    one.arrive(b"one")
    other.arrive(b"two")
    one.arrive(b"three")
    assert (one.own.seen, other.own.seen) == ([b"one", b"three"], [b"two"])


def test_threads_do_not_share_what_they_read() -> None:
    stand = Stand()
    stand.inlet.get_buffer(-1)[:4] = b"mine"
    thread = threading.Thread(target=Stand().arrive, args=(b"else",))
    thread.start()
    thread.join()
    stand.inlet.buffer_updated(4)
    assert stand.own.seen == [b"mine"]


@pytest.mark.parametrize("pieces", [(EXPECTED,), (b"as", b" ever"), tuple(EXPECTED[at : at + 1] for at in range(len(EXPECTED)))])
def test_what_is_expected_reaches_nobody_else(stand: Stand, pieces: tuple[bytes, ...]) -> None:
    stand.arrive(*pieces[:-1])
    assert stand.ended == []
    stand.arrive(pieces[-1])
    assert (stand.ended, stand.own.seen) == ([True], [])
    stand.arrive(EXPECTED)
    assert (stand.ended, stand.own.seen) == ([True], [EXPECTED])
    stand.expect()
    stand.arrive(*pieces)
    assert (stand.ended, stand.own.seen) == ([True, True], [EXPECTED])


@pytest.mark.parametrize(
    ("pieces", "seen"),
    [
        ((b"another",), [b"another"]),
        ((b"as", b" never"), [b"as never"]),
        ((b"as ever, and more",), [b"as ever, and more"]),
        ((b"as eve", b"!", b" more"), [b"as eve!", b" more"]),
    ],
)
def test_what_is_not_expected_is_the_connections_own(stand: Stand, pieces: tuple[bytes, ...], seen: list[object]) -> None:
    stand.arrive(*pieces)
    assert (stand.ended, stand.own.seen) == ([False], seen)


@pytest.mark.parametrize("before", [(), (b"as",)])
def test_an_end_of_file_comes_after_what_has_come_before(stand: Stand, before: tuple[bytes, ...]) -> None:
    stand.arrive(*before)
    assert stand.inlet.eof_received() is True
    assert (stand.ended, stand.own.seen) == ([False], [*before, "eof"])


@pytest.mark.parametrize("cause", [None, ConnectionResetError("reset")])
def test_a_loss_is_told_to_both(stand: Stand, cause: Exception | None) -> None:
    stand.arrive(b"as")
    stand.inlet.connection_lost(cause)
    assert (stand.ended, stand.own.seen) == ([False], [b"as", cause])


def test_a_full_socket_concerns_the_connection_alone(stand: Stand) -> None:
    stand.inlet.pause_writing()
    stand.inlet.resume_writing()
    assert (stand.ended, stand.own.seen) == ([], ["pause", "resume"])
