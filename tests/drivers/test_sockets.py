"""When something was last received, as the operating system says it of a socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aioclustersql.drivers.sockets import last_received


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, until nothing more does."""
    while received := await reader.read(100):
        writer.write(received)
    writer.close()


@pytest.mark.real_time
@pytest.mark.every_loop
async def test_silence_is_counted_from_the_last_byte_whether_or_not_it_was_read():
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        async with asyncio.timeout(5):
            while (silence := last_received(writer.transport)) is None or silence < 0.2:
                await asyncio.sleep(0.01)
        writer.write(b"x")
        async with asyncio.timeout(5):
            while (after := last_received(writer.transport)) is None or after >= silence:
                await asyncio.sleep(0.01)
        writer.close()
        assert last_received(writer.transport) is None
        await writer.wait_closed()


@pytest.mark.real_time
async def test_of_a_unix_socket_it_is_unknown(tmp_path: Path):
    async with await asyncio.start_unix_server(answer, tmp_path / "s"):
        _, writer = await asyncio.open_unix_connection(tmp_path / "s")
        assert last_received(writer.transport) is None
        writer.close()
        await writer.wait_closed()


@pytest.mark.real_time
async def test_elsewhere_than_on_linux_it_is_unknown(monkeypatch: pytest.MonkeyPatch):
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        monkeypatch.setattr("sys.platform", "darwin")
        found = last_received(writer.transport)
        monkeypatch.undo()
        assert found is None
        writer.close()
        await writer.wait_closed()


def test_without_a_transport_it_is_unknown():
    assert last_received(None) is None
