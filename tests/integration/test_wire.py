"""The chaos stand's cables: what is pulled is silent, what is plugged in goes on, and this process is where it was afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from chaos.wire import Wire, wired
from tests.integration.test_proxy import Client, Echo
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.integration


def network() -> str:
    """Which one this thread is in."""
    return str(Path("/proc/thread-self/ns/net").readlink())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wired(2) as made:
        if made is None:
            pytest.skip("no namespaces can be made here: that takes root and the tools of iproute2")
        yield made


async def answers(client: Client, text: bytes) -> bool:
    """Whether it does, soon."""
    try:
        async with asyncio.timeout(0.3):
            return await client.ask(text) == text
    except TimeoutError:
        return False


def test_what_is_pulled_is_silent_and_goes_on_when_it_is_plugged_in_again(wire: Wire) -> None:
    async def pull_and_plug() -> None:
        async with (
            Echo() as echo,
            Proxy(echo.address, host=wire.host(0), within=partial(wire.at, 0)) as first,
            Proxy(echo.address, host=wire.host(1), within=partial(wire.at, 1)) as second,
            Client(first) as cut_off,
            Client(second) as other,
        ):
            assert await answers(cut_off, b"1")
            wire.pull(0)
            assert not await answers(cut_off, b"2")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), Client(first):
                    pass
            assert await answers(other, b"3")
            wire.plug(0)
            async with asyncio.timeout(10):
                assert await cut_off.reader.readexactly(1) == b"2"
                async with Client(first) as late:
                    assert await late.ask(b"4") == b"4"

    asyncio.run(pull_and_plug())


def test_a_process_is_where_it_was_afterwards_and_keeps_nothing() -> None:
    was, opened = network(), descriptors()
    with wired(3) as made:
        assert (network() == was) is (made is None)
    assert (network(), descriptors()) == (was, opened)


def test_who_may_make_no_namespace_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError

    was, opened = network(), descriptors()
    monkeypatch.setattr("chaos.wire._leave", refuse)
    with wired(3) as made:
        assert made is None
        assert network() == was
    assert descriptors() == opened


def test_who_lacks_the_tools_is_where_he_was(monkeypatch: pytest.MonkeyPatch) -> None:
    was, opened = network(), descriptors()
    monkeypatch.setenv("PATH", "")
    with wired(3) as made:
        assert made is None
        assert network() == was
    assert descriptors() == opened
