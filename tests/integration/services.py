"""The web services of examples/, each started as its first lines say, in a process of its own with warnings as errors.

Not what they promise (test_services.py). Rule: each ends in order, without a traceback or a warning in its log.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from aioclustersql.demo.postgres import PostgresCluster
from chaos.leftovers import sockets
from tests.integration.support import until
from tests.servers.galera import GaleraCluster
from tests.servers.proxy import PORTS

__all__ = ["APPS", "EXAMPLES", "PYTHON", "Service", "nodes_of", "play", "serve_all"]

T = TypeVar("T")

EXAMPLES = Path(__file__).parents[2] / "examples"
PYTHON = (sys.executable, "-W", "error")
AIOHTTP = "aiohttp_app"
APPS = ("starlette_app", "fastapi_app", "litestar_app", "quart_app", AIOHTTP)


def nodes_of(servers: PostgresCluster | GaleraCluster) -> str:
    """One URL that names all nodes."""
    hosts = ",".join(f"{node.host}:{node.port}" for node in servers.nodes)
    return f"postgresql://postgres@{hosts}/postgres" if isinstance(servers, PostgresCluster) else f"mysql://root@{hosts}/test"


@dataclass(slots=True)
class Service:
    """One of them, and a client for as many requests at once as a test likes."""

    app: str
    process: subprocess.Popen[bytes]
    log: Path
    client: httpx.AsyncClient

    def terminate(self) -> None:
        """Ask it to end, as a deployment does."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> str:
        """Wait until it has ended; what it wrote."""
        await asyncio.to_thread(self.process.wait, 20)
        return self.log.read_text()

    async def is_up(self) -> bool:
        """Whether it answers."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return (await self.client.get("/readyz")).is_success
        except httpx.TransportError:
            return False


@asynccontextmanager
async def serve_all(nodes: str, folder: Path) -> AsyncIterator[list[Service]]:
    """Every service on these nodes, ready; at the end those that a test has left are ended, in order too."""
    async with AsyncExitStack() as stack:
        services = []
        for app in APPS:
            log = folder / f"{app}.log"
            port = _free_port()
            file = stack.enter_context(log.open("wb"))
            environment = os.environ | {"NODES": nodes, "PYTHONPATH": f"{EXAMPLES}:{os.environ.get('PYTHONPATH', '')}"}
            process = subprocess.Popen(_command(app, port), stdout=file, stderr=file, env=environment)
            stack.callback(_end, process)
            limits = httpx.Limits(max_connections=200, max_keepalive_connections=0)  # a server may close one that is kept
            client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False, limits=limits)
            services.append(Service(app, process, log, await stack.enter_async_context(client)))
        for service in services:
            await until(service.is_up, f"{service.app} does not answer", timeout=30)
        yield services
        for service in services:
            if service.process.poll() is None:
                service.terminate()
        for service in services:
            told = await service.ended()
            assert "Traceback" not in told, told
            assert "Warning" not in told, told
            assert service.app == AIOHTTP or "Application shutdown complete" in told, told


def _command(app: str, port: int) -> list[str]:
    if app == AIOHTTP:
        return [*PYTHON, "-m", "aiohttp.web", "-H", "127.0.0.1", "-P", str(port), f"{app}:make_app"]
    return [*PYTHON, "-m", "uvicorn", f"{app}:app", "--port", str(port), "--log-level", "info", "--no-access-log"]


def _free_port() -> int:
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in _given:
                _given.add(port)
                return port
    raise RuntimeError("no port is free")


_given: set[int] = set()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def play(scene: Callable[[], Awaitable[T]]) -> T:
    """Run a scene in a loop of its own and return what it tells: for a fixture that several tests look at.

    The guards that an async test has hold here too: no task or socket is left, and the loop's exception handler was not called.
    """
    reported: list[Mapping[str, Any]] = []

    async def guarded() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        before = sockets()
        told = await scene()

        async def closed() -> bool:
            return sockets() <= before

        await until(closed, "sockets are left open", timeout=2.0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()
        assert reported == []
        return told

    with asyncio.Runner() as runner:
        return runner.run(guarded())
