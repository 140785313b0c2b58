"""Which event loop a test runs on, in which worker of a parallel run, and what no test may leave behind.

A test runs in virtual time, unless it is marked `integration` or `real_time`. Marked `every_loop`, it runs on each loop of its
kind. Rule: after every async test no task is left, and the loop's exception handler was not called.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvloop

from aioclustersql.testing import VirtualLoop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def _eager(factory: LoopFactory) -> LoopFactory:
    """Loops whose tasks begin to run when they are made (Python 3.12)."""

    def make() -> asyncio.AbstractEventLoop:
        loop = factory()
        if sys.version_info >= (3, 12):
            loop.set_task_factory(asyncio.eager_task_factory)
        return loop

    return make


_REAL: Mapping[str, LoopFactory] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
    "asyncio-eager": _eager(asyncio.new_event_loop),
}
_VIRTUAL: Mapping[str, LoopFactory] = {
    "virtual": VirtualLoop,
    "virtual-eager": _eager(VirtualLoop),
}


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """The loops to run a test on, by name."""
    real = item.get_closest_marker("integration") or item.get_closest_marker("real_time")
    factories = _REAL if real else _VIRTUAL
    if item.get_closest_marker("every_loop") is None:
        return dict([next(iter(factories.items()))])
    return {name: make for name, make in factories.items() if sys.version_info >= (3, 12) or not name.endswith("-eager")}


_ON_GALERA = {"galera", "galera_turn", "aiomysql", "asyncmy", "mariadb", "strangers", "own_servers"}
"""Fixtures and parameters by which a test asks for MariaDB servers, at ports that only one worker can have."""


@pytest.hookimpl(tryfirst=True)  # before the plugin reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests for a parallel run (`-n 2 --dist loadgroup`): one worker has the MariaDB servers, one PostgreSQL's."""
    for item in items:
        unit = item.get_closest_marker("integration") is None
        item.add_marker(pytest.mark.xdist_group(item.path.stem if unit else "galera" if _is_on_galera(item) else "postgres"))


def _is_on_galera(item: pytest.Item) -> bool:
    parameters = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    return not _ON_GALERA.isdisjoint([*getattr(item, "fixturenames", ()), *map(str, parameters)])


def pytest_collection_finish() -> None:
    """What was imported by now is no test's garbage: the collections after each test need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _guarded(request: pytest.FixtureRequest) -> None:
    # The first fixture of all is the last one to be finished, before the loop is closed.
    if pytest_asyncio.is_async_test(request.node):
        request.getfixturevalue("loop_guard")


@pytest.fixture
async def loop_guard() -> AsyncIterator[list[dict[str, Any]]]:
    """Fails a test that leaves a task behind, or an exception that nobody looked at.

    Its value is the list of what the loop's exception handler was told; a test that provokes that clears it.
    """
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    yield reported
    stray = sorted(repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task())
    gc.collect()
    loop.set_exception_handler(None)
    if stray:
        pytest.fail("tasks were left behind:\n" + "\n".join(stray), pytrace=False)
    if reported:
        lines = (f"{context['message']}: {context.get('exception')!r} {context.get('future', '')}" for context in reported)
        pytest.fail("the loop's exception handler was called:\n" + "\n".join(lines), pytrace=False)


@pytest.fixture
async def no_leaked_sockets() -> AsyncIterator[None]:
    """Fails a test after which more sockets are open than before, a second after its end at the latest."""
    before = _sockets()
    yield
    try:
        async with asyncio.timeout(1):
            while len(_sockets()) > len(before):  # uvloop replaces a pair of its own at every run
                await asyncio.sleep(0.01)
    except TimeoutError:
        leaked = sorted(descriptor for inode, descriptor in _sockets().items() if inode not in before)
        lines = (f"descriptor {descriptor}: {_ends(descriptor)}" for descriptor in leaked)
        pytest.fail("sockets were left open:\n" + "\n".join(lines), pytrace=False)


def _sockets() -> dict[str, int]:
    """This process's open sockets: inode -> descriptor (Linux)."""
    found: dict[str, int] = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue  # the descriptor of this very listing
        if target.startswith("socket:"):
            found[target] = int(entry.name)
    return found


def _ends(descriptor: int) -> str:
    with socket.socket(fileno=os.dup(descriptor)) as sock:
        try:
            return f"{sock.getsockname()!r} -> {sock.getpeername()!r}"
        except OSError:
            return f"{sock.getsockname()!r}, not connected"
