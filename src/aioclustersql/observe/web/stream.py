"""The answer to GET /events: lines as they come, and the state once a second, for as long as the client listens and keeps up."""

from __future__ import annotations

import asyncio

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from .streams import Full, Streams

__all__ = ["EventStream", "events"]

SLOW = 5.0
"""Seconds that a client may leave a line unread before it is let go."""
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def events(request: Request) -> Response:
    """GET /events."""
    streams: Streams = request.app.state.streams
    if request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=_HEADERS)
    last = request.headers.get("last-event-id", "")
    return EventStream(streams, int(last) if last.isascii() and last.isdigit() else None, for_page="page" in request.query_params)


class EventStream(Response):
    """Drives one stream, in its request's own task."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, after: int | None, *, for_page: bool) -> None:
        self._streams = streams
        self._after = after
        self._for_page = for_page
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._streams.watch(self._after) as self._watcher:
                async with anyio.create_task_group() as group:

                    async def listen() -> None:
                        while (await receive())["type"] != "http.disconnect":
                            pass
                        group.cancel_scope.cancel()

                    group.start_soon(listen)
                    await self._tell(send)
                    group.cancel_scope.cancel()
        except Full:
            full = PlainTextResponse("as many watch as may; try again later", 503, {"Retry-After": "10", **_HEADERS})
            await full(scope, receive, send)

    async def _tell(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        watcher, streams = self._watcher, self._streams
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not watcher.over:
            chunk = b""
            if watcher.news or loop.time() >= due:
                watcher.news = False
                chunk = streams.frame(due, for_page=self._for_page)
                while due <= loop.time():
                    due = (due // streams.interval + 1) * streams.interval  # all streams at the same moments
            while watcher.lines:
                chunk += watcher.lines.popleft().encode(for_page=self._for_page)
            if chunk and not await self._sent(send, chunk):
                return
            await watcher.wait(due)
        await self._sent(send, b"", more=False)

    async def _sent(self, send: Send, chunk: bytes, *, more: bool = True) -> bool:
        """Whether the client took it in time."""
        try:
            async with asyncio.timeout(SLOW):
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        except (TimeoutError, OSError):
            return False
        return True
