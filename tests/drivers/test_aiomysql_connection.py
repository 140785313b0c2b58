"""Our connection reads packets as aiomysql's own does, however their bytes arrive."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

import asyncio
import itertools
import struct
from typing import Any

import aiomysql
import pytest
from aiomysql.connection import _StreamReader
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from aioclustersql.drivers.aiomysql_connection import Connection

ERROR = b"\xff\x28\x04#42000denied"


def framed(*payloads: bytes, first: int = 0) -> bytes:
    """Packets in their order, the first with that number."""
    return b"".join(
        len(payload).to_bytes(3, "little") + bytes([number % 256]) + payload for number, payload in enumerate(payloads, first)
    )


class Transport:
    """What a connection asks of its transport."""

    def __init__(self) -> None:
        self.reading, self.closed = True, False
        self.transport = self

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


def connection(kind: type[Any]) -> Any:
    """One whose next packet is its first."""
    conn = kind()
    conn._reader = _StreamReader()
    conn._writer = Transport()
    conn._reader.set_transport(conn._writer)
    conn._next_seq_id = 0
    return conn


async def read_all(kind: type[Any], pieces: list[bytes], count: int, end: BaseException | bool | None = None) -> list[Any]:
    """What `count` reads give, while the pieces arrive one by one; then the end of file (`True`) or that error."""
    conn = connection(kind)
    found: list[Any] = []

    async def read() -> None:
        for _ in range(count):
            try:
                packet = await conn._read_packet()
                found.append((type(packet), packet.get_all_data()))
            except Exception as exc:  # noqa: BLE001 - whatever it is
                found.append((type(exc), exc.args))
                if conn._writer is None:
                    break

    reading, reader = asyncio.create_task(read()), conn._reader
    for piece in pieces:
        reader.feed_data(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    if end is True:
        reader.feed_eof()
    elif isinstance(end, BaseException):
        reader.set_exception(end)
    await reading
    found.append((conn._next_seq_id, conn._writer is None))
    conn.close()
    return found


@pytest.mark.parametrize("cut", [(), (1,), (4,), (3, 4, 5), (7,), (9, 12), tuple(range(1, 30))])
@pytest.mark.parametrize(
    ("sent", "count"),
    [
        (framed(b"\0\0\0\2\0\0\0", b"rows", b""), 3),
        (framed(b"first", ERROR, b"last"), 3),
        (framed(b"first", b"x" * 70_000, b"last"), 3),
        (framed(b"first") + framed(b"out of turn", first=7), 2),
        (framed(b"first") + framed(ERROR, first=0), 2),
    ],
    ids=["three", "an error among them", "a long one", "out of turn", "the server shuts down"],
)
async def test_packets_in_pieces(sent: bytes, count: int, cut: tuple[int, ...]):
    ends = [0, *[at for at in cut if at < len(sent)], len(sent)]
    pieces = [sent[begin:end] for begin, end in itertools.pairwise(ends)]
    ours = await read_all(Connection, pieces, count)
    assert ours == await read_all(aiomysql.Connection, pieces, count)
    assert ours[0] == (MysqlPacket, sent[4 : 4 + sent[0]])


@pytest.mark.parametrize("sent", [b"", b"\x05\0", framed(b"whole"), framed(b"whole")[:-2]], ids=repr)
@pytest.mark.parametrize("end", [True, ConnectionResetError("reset")])
async def test_an_end_in_the_middle(sent: bytes, end: BaseException | bool):
    pieces = [sent] if sent else []
    ours = await read_all(Connection, pieces, 2, end)
    assert ours == await read_all(aiomysql.Connection, pieces, 2, end)
    assert ours[-2][0] is aiomysql.OperationalError


def column(name: str, encoding: str) -> bytes:
    """The packet that defines a column of text."""
    words = ("def", "shop", "o", "orders", name, name)
    encoded = [word.encode(encoding) for word in words]
    return b"".join(bytes([len(word)]) + word for word in encoded) + struct.pack("<BHIBHBxx", 12, 33, 255, 253, 1, 0)


async def columns(kind: type[Any], *definitions: tuple[str, str]) -> list[Any]:
    """What a connection of that kind makes of the definitions of columns, in names and encodings."""
    found = []
    for name, encoding in definitions:
        conn = connection(kind)
        conn._encoding = encoding
        conn._reader.feed_data(framed(column(name, encoding)))
        field = await conn._read_packet(FieldDescriptorPacket)
        found.append((field.description(), field.name, field.table_name, field.org_table, field.charsetnr, field.flags))
        conn.close()
    return found


async def test_columns_that_come_again_are_what_they_were():
    asked = [("id", "utf8"), ("größe", "utf8"), ("id", "utf8"), ("größe", "latin1"), ("größe", "utf8"), ("id", "latin1")]
    ours = await columns(Connection, *asked)
    assert ours == await columns(aiomysql.Connection, *asked)
    assert [found[1] for found in ours] == [name for name, _ in asked]


@pytest.mark.parametrize("kind", [Connection, aiomysql.Connection])
async def test_a_cancel_while_it_waits_closes_it(kind: type[Any]):
    conn = connection(kind)
    transport = conn._writer
    reading = asyncio.create_task(conn._read_packet())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (transport.closed, conn._writer) == (True, None)


async def test_a_full_buffer_does_not_stop_the_reading_for_good():
    conn, sent = connection(Connection), framed(b"y" * 300_000)
    reading = asyncio.create_task(conn._read_packet())
    await asyncio.sleep(0)
    conn._reader.feed_data(sent[:200_000])
    assert not conn._writer.reading
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert conn._writer.reading
    conn._reader.feed_data(sent[200_000:])
    assert (await reading).get_all_data() == b"y" * 300_000
    assert conn._writer.reading
    conn.close()
