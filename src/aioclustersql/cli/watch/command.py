"""`aioclustersql watch` as a command: which source, which display, and how it ends."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, NoReturn

from ...config import load
from ..running import Exit, complain, configured, console, finish, print_json
from ..settings import quiet_cluster
from .display import Display, JsonLines, Lines, Screen, tables
from .sources import LocalSource, RemoteSource, Source, SourceError

__all__ = ["watch_cluster"]


def watch_cluster(where: str | None, *, once: bool, as_json: bool) -> NoReturn:
    """Watch a configuration's cluster, or a status URL, and exit."""
    source: Source
    if where is not None and where.startswith(("http://", "https://")):
        source = RemoteSource(where)
    else:
        settings, cluster = configured(lambda: quiet_cluster(load(where)), as_json=as_json)
        source = LocalSource(cluster, patience=settings.options.get("connect_timeout", 10.0))

    async def work() -> int:
        try:
            return await (_once(source, as_json=as_json) if once else _on_and_on(source, _display(as_json=as_json)))
        except SourceError as exc:
            return complain(exc, as_json=as_json, code=Exit.FOUND)

    finish(work)


async def _once(source: Source, *, as_json: bool) -> int:
    clusters: list[dict[str, Any]] = await source.once()
    if as_json:
        print_json({"stats": clusters}, lines=True)
    else:
        out = console()
        for part in tables(out, clusters):
            out.print(part)
    return Exit.OK if all(cluster["ready"] for cluster in clusters) else Exit.FOUND


async def _on_and_on(source: Source, display: Display) -> int:
    display.start()
    try:
        async with aclosing(source.messages()) as messages:
            async for message in messages:
                display.show(message)
    finally:
        display.stop()
    return Exit.OK


def _display(*, as_json: bool) -> Display:
    if as_json:
        return JsonLines()
    out = console()
    return Screen(out) if out.is_terminal and not out.is_dumb_terminal else Lines(out)
