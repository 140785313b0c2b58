"""The proxy misbehaves as told, and leaves nothing open. Its upstream here is an echo server on the same loop."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from tests.servers.proxy import Proxy

pytestmark = pytest.mark.integration

SILENCE = 0.15


class Echo:
    """Greets with its client's address, then repeats what it hears; hangs up when it hears `bye`."""

    def __init__(self) -> None:
        self.open = 0

    async def __aenter__(self) -> "Echo":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await settled(lambda: self.open == 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(ConnectionError):
            writer.write(writer.get_extra_info("peername")[0].encode() + b"\n")
            while (data := await reader.read(65536)) and data != b"bye":
                writer.write(data)
            writer.close()
            await writer.wait_closed()
        writer.close()
        self.open -= 1


class Client:
    """One connection to a proxy, greeted unless told otherwise."""

    def __init__(self, proxy: Proxy, greeted: bool = True) -> None:
        self._proxy = proxy
        self._greeted = greeted

    async def __aenter__(self) -> "Client":
        self.reader, self.writer = await asyncio.open_connection(self._proxy.host, self._proxy.port)
        if self._greeted:
            self.greeting = await self.reader.readline()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        await asyncio.sleep(0)

    async def ask(self, text: bytes) -> bytes:
        self.writer.write(text)
        return await self.reader.readexactly(len(text))


async def settled(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with Echo() as server:
        yield server


async def test_ok_forwards_and_counts(echo: Echo):
    async with Proxy(echo.address, source="127.0.0.2") as proxy:
        assert 20000 <= proxy.port < 30000
        async with Client(proxy) as client:
            assert client.greeting == b"127.0.0.2\n"
            assert await client.ask(b"x" * 300_000) == b"x" * 300_000
            assert (proxy.accepted, proxy.open_connections) == (1, 1)
            assert (proxy.bytes_sent, proxy.bytes_received) == (300_000, 300_010)
            assert repr(proxy) == f"<Proxy 127.0.0.1:{proxy.port} ok, 1 open, 1 accepted>"
        await settled(lambda: proxy.open_connections == 0 and echo.open == 0)


async def test_what_the_server_said_last_arrives_before_the_end(echo: Echo):
    async with Proxy(echo.address) as proxy, Client(proxy) as client:
        assert await client.ask(b"last") == b"last"
        client.writer.write(b"bye")
        assert await client.reader.read() == b""


async def test_delay_counts_in_both_directions(echo: Echo):
    async with Proxy(echo.address, delay=0.1) as proxy:
        assert proxy.mode == "delay"
        async with Client(proxy) as client:
            start = time.monotonic()
            await client.ask(b"ping")
            assert time.monotonic() - start >= 0.2
            await proxy.set_mode("ok")
            start = time.monotonic()
            await client.ask(b"ping")
            assert time.monotonic() - start < 0.1


async def test_hang_silences_open_and_new_connections_until_it_ends(echo: Echo):
    async with Proxy(echo.address) as proxy, Client(proxy) as old:
        await proxy.set_mode("hang")
        async with Client(proxy, greeted=False) as new:
            old.writer.write(b"hello")
            waiting = [asyncio.ensure_future(old.reader.readexactly(5)), asyncio.ensure_future(new.reader.readline())]
            assert (await asyncio.wait(waiting, timeout=SILENCE))[0] == set()
            assert echo.open == 1  # the new one did not get through
            await proxy.set_mode("ok")
            assert await asyncio.gather(*waiting) == [b"hello", b"127.0.0.1\n"]


async def test_client_that_leaves_while_nothing_flows_is_noticed(echo: Echo):
    async with Proxy(echo.address) as proxy:
        async with Client(proxy):
            await proxy.set_mode("hang")
            async with Client(proxy, greeted=False):
                await settled(lambda: proxy.open_connections == 2)
        await settled(lambda: proxy.open_connections == 0)
        assert echo.open == 1  # the server has not heard of it
        await proxy.set_mode("ok")
        await settled(lambda: echo.open == 0)


async def test_refuse_closes_the_port_and_keeps_what_is_open(echo: Echo):
    async with Proxy(echo.address) as proxy, Client(proxy) as old:
        port = proxy.port
        await proxy.set_mode("refuse")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(proxy.host, port)
        assert await old.ask(b"on") == b"on"
        await proxy.set_mode("ok")
        assert proxy.port == port
        async with Client(proxy) as client:
            assert await client.ask(b"back") == b"back"


async def test_reset_accepts_and_resets(echo: Echo):
    async with Proxy(echo.address, mode="reset") as proxy:
        with pytest.raises(ConnectionResetError):
            async with Client(proxy) as client:
                await client.reader.read()
        assert (proxy.accepted, proxy.open_connections, echo.open) == (1, 0, 0)


async def test_drop_resets_what_is_open(echo: Echo):
    async with Proxy(echo.address) as proxy, Client(proxy) as client:
        proxy.drop()
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        await settled(lambda: proxy.open_connections == 0 and echo.open == 0)


async def test_server_that_is_gone_resets_the_client():
    async with Echo() as echo:
        pass
    async with Proxy(echo.address) as proxy:
        with pytest.raises(ConnectionResetError):
            async with Client(proxy) as client:
                await client.reader.readexactly(1)


async def test_backlog_leaves_a_connect_without_an_answer(echo: Echo):
    async with Proxy(echo.address) as proxy, Client(proxy) as old:
        await proxy.set_mode("backlog")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SILENCE):
                await asyncio.open_connection(proxy.host, proxy.port)
        assert await old.ask(b"on") == b"on"
        await proxy.set_mode("ok")
        async with Client(proxy) as client:
            assert await client.ask(b"back") == b"back"


async def test_black_hole_swallows_open_connections_too(echo: Echo):
    async with Proxy(echo.address) as proxy, Client(proxy) as old:
        await proxy.set_mode("black_hole")
        answer = asyncio.ensure_future(old.ask(b"hello"))
        connecting = asyncio.ensure_future(asyncio.open_connection(proxy.host, proxy.port))
        assert (await asyncio.wait([answer, connecting], timeout=SILENCE))[0] == set()
        connecting.cancel()
        await proxy.set_mode("ok")
        assert await answer == b"hello"


@pytest.mark.parametrize("mode", ["ok", "delay", "hang", "refuse", "reset", "backlog", "black_hole"])
async def test_stop_leaves_no_task_and_no_connection(echo: Echo, mode):
    before = asyncio.all_tasks()
    async with Proxy(echo.address, delay=60) as proxy:
        await proxy.set_mode("ok")
        async with Client(proxy) as talking, Client(proxy) as flooding:
            await proxy.set_mode(mode)
            talking.writer.write(b"hello")
            flooding.writer.write(b"x" * 10_000_000)
            await asyncio.sleep(0.01)
            await proxy.stop()
            await settled(lambda: echo.open == 0)
            assert proxy.open_connections == 0
            assert asyncio.all_tasks() <= before


async def test_stalls_hold_a_request_for_a_while_and_the_others_not_at_all(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.servers.proxy.STALLS", (0.2, 0.4))
    monkeypatch.setattr("tests.servers.proxy.CALM", 2)
    async with Proxy(echo.address, mode="stalls") as proxy, Client(proxy) as client:
        monkeypatch.setattr("tests.servers.proxy.STALLED", 0.0)
        assert await took(client, b"1") < 0.2
        monkeypatch.setattr("tests.servers.proxy.STALLED", 1.0)
        assert await took(client, b"2") >= 0.2
        assert max([await took(client, b"3"), await took(client, b"4")]) < 0.2
        assert await took(client, b"5") >= 0.4


async def took(client: Client, text: bytes) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await client.ask(text) == text
    return loop.time() - began


async def test_a_connection_that_comes_as_the_port_is_closed_is_not_leaked(echo: Echo) -> None:
    async with Proxy(echo.address) as proxy:
        for _ in range(20):
            coming = [asyncio.create_task(asyncio.open_connection(proxy.host, proxy.port)) for _ in range(5)]
            await asyncio.sleep(0)
            await proxy.set_mode("refuse")
            for each in await asyncio.gather(*coming, return_exceptions=True):
                if not isinstance(each, BaseException):
                    each[1].transport.abort()
            await proxy.set_mode("ok")
        await settled(lambda: proxy.open_connections == 0)


async def test_by_its_seed_a_proxy_holds_the_same_requests_each_time(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.servers.proxy.STALLS", (0.1, 0.1))
    monkeypatch.setattr("tests.servers.proxy.STALLED", 0.5)
    monkeypatch.setattr("tests.servers.proxy.CALM", 0)
    async with Proxy(echo.address, seed="one") as proxy, Client(proxy) as client:
        held: list[list[bool]] = []
        for _ in range(2):
            await proxy.set_mode("stalls")
            held.append([await took(client, b"1") >= 0.1 for _ in range(10)])
            await proxy.set_mode("ok")
    assert held[0] == held[1]
    assert 0 < sum(held[0]) < 10
