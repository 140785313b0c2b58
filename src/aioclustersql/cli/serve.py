"""`aioclustersql serve`: the status app of a configuration's cluster, by uvicorn, on loopback unless told otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import typer
import uvicorn
from starlette.applications import Starlette

from ..cluster import Cluster
from ..config import load
from ..errors import ConfigError
from ..observe.web import status_app
from .running import Exit, complain, configured, finish, print_json
from .settings import quiet_cluster

__all__ = ["serve_status"]

_GRACE = 1
"""Seconds that requests under way are given at the end."""
_BACKLOG = 100


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's own business."""
        yield


def serve_status(
    config: Path | None, *, host: str, port: int, token: str | None, token_file: Path | None, as_json: bool
) -> NoReturn:
    """Serve until a signal comes, and exit."""

    def make() -> tuple[Cluster[Any], Starlette]:
        secret = _read(token_file) if token_file is not None else token
        cluster = quiet_cluster(load(config))[1]
        names = [host, "localhost", "127.0.0.1", "[::1]"] if _is_loopback(host) else None
        app = status_app(cluster, token=secret, allowed_hosts=names)
        if not secret and not _is_loopback(host):
            typer.echo(
                f"aioclustersql: whoever reaches {host}:{port} can read the status: there is no token to change it by, "
                "and none is asked of readers; put a server before it that asks who they are",
                err=True,
            )
        return cluster, app

    cluster, app = configured(make, as_json=as_json)
    settings = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=_GRACE)

    async def work() -> int:
        try:
            listener = _listen(host, port)
        except OSError as exc:
            return complain(f"cannot listen on {host}:{port}: {exc.strerror}", as_json=as_json, code=Exit.FOUND)
        with listener:
            url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"
            if as_json:
                print_json({"url": url, "cluster": cluster.name, "nodes": list(cluster.nodes)}, lines=True)
            else:
                typer.echo(f"{cluster.name}: {', '.join(cluster.nodes)} at {url}, until Ctrl-C")
            async with cluster:
                await _serve(_Server(settings), listener, app.state.streams.close)
        return Exit.OK

    finish(work)


async def _serve(server: _Server, listener: socket.socket, end_streams: Callable[[], None]) -> None:
    """Serve until it is cancelled, and end in order."""
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        end_streams()
        server.should_exit = True
        await asyncio.wait([serving])
        raise


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as exc:
        raise ConfigError(f"--token-file: {path} cannot be read: {exc.strerror}") from None
