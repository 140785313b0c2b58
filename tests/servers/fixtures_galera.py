"""A real Galera cluster, started once per run and whole again after each test, and proxies that misbehave on demand."""

import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Protocol

import pytest

from tests.servers.galera import GaleraCluster
from tests.servers.proxy import Proxy

__all__ = ["galera", "galera_cluster", "galera_turn", "proxy"]


class Upstream(Protocol):
    """A server with an address: a `GaleraNode`, for instance."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


MakeProxy = Callable[..., Awaitable[Proxy]]


@contextmanager
def _turn(name: str, timeout: float = 600.0) -> Iterator[None]:
    """Let several test runs on one machine use the same ports one after another.

    An address in the abstract namespace of Unix sockets is a lock that leaves no file and ends with its process.
    """
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX) as lock:
        while True:
            try:
                lock.bind(f"\0aioclustersql-{name}")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield


@pytest.fixture(scope="session")
def galera_turn() -> Iterator[None]:
    """No other test run on this machine uses Galera's ports; for tests that start a `GaleraCluster` of their own."""
    with _turn("galera"):
        yield


@pytest.fixture(scope="session")
def galera_cluster(galera_turn: None) -> Iterator[GaleraCluster]:
    """The servers of the whole run, on the ports of the repository's config.toml; tests take `galera` instead."""
    with GaleraCluster(skip_name_resolve=False, performance_schema=True) as cluster:
        yield cluster


@pytest.fixture
def galera(galera_cluster: GaleraCluster) -> Iterator[GaleraCluster]:
    """Three synced nodes, to freeze, kill and isolate; afterwards they are healed and left-over clients are cut off."""
    yield galera_cluster
    galera_cluster.heal()


@pytest.fixture
async def proxy() -> AsyncIterator[MakeProxy]:
    """Make proxies that are gone after the test: `slow = await proxy(node, delay=0.1)`, with the options of `Proxy`.

    They connect from 127.0.0.2, because MariaDB exempts 127.0.0.1 from blocking hosts.
    """
    async with AsyncExitStack() as stack:

        async def make(upstream: Upstream | tuple[str, int], **options: Any) -> Proxy:
            address = upstream if isinstance(upstream, tuple) else (upstream.host, upstream.port)
            return await stack.enter_async_context(Proxy(address, **{"source": "127.0.0.2", **options}))

        yield make
