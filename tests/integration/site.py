"""The status app on a real server, in a thread with a loop of its own, so that a test can look at it from outside.

Rule: what is done to the cluster is done in its own loop, by `call`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import uvicorn

from aioclustersql import Cluster
from aioclustersql.demo.pgsettings import choose_ports
from aioclustersql.observe.web import status_app

__all__ = ["Site", "serve"]

T = TypeVar("T")


class Site:
    """A cluster, and its status app at `url`."""

    def __init__(self, nodes: Mapping[str, str], settings: Mapping[str, Any], app: Mapping[str, Any]) -> None:
        self.cluster: Cluster[Any] = Cluster(nodes, **settings)
        self.app = status_app(self.cluster, **app)
        self._server = uvicorn.Server(uvicorn.Config(self.app, port=choose_ports(1)[0], log_level="warning", lifespan="off"))
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="site")

    def __enter__(self) -> Site:
        self._thread.start()
        assert self._up.wait(10)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(15)
        assert not self._thread.is_alive()
        self._loop.close()

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call it in the cluster's loop."""

        async def call() -> T:
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def _stop(self) -> None:
        self.app.state.streams.close()
        self._server.should_exit = True

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)

    async def _serve(self) -> None:
        async with self.cluster:
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started:
                await asyncio.sleep(0.01)
            self._up.set()
            await serving


@contextmanager
def serve(nodes: Mapping[str, str], *, app: Mapping[str, Any], **settings: Any) -> Iterator[Site]:
    """The site for as long as the block runs."""
    with Site(nodes, settings, app) as site:
        yield site
