"""An ASGI server of a few lines, for what httpx cannot do: read a stream while it goes on, leave it, or not read at all."""

from __future__ import annotations

import asyncio
import json
from typing import Any

__all__ = ["Client"]


class Client:
    """A GET of an app, as a task. What was sent is in `events`: (kind, data, id) of server-sent events."""

    def __init__(self, app: Any, path: str, headers: dict[str, str] | None = None, query: str = "") -> None:
        self.status = 0
        self.body = b""
        self.ended = False
        self._left = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def leave(self) -> None:
        """The client goes away."""
        self._left.set()
        await self.task

    def stop_reading(self) -> None:
        """From now on nothing that is sent is taken."""
        self._reads.clear()

    @property
    def events(self) -> list[tuple[str, Any, int | None]]:
        """What has come so far."""
        found = []
        for block in self.body.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            if fields:
                number = int(fields["id"]) if "id" in fields else None
                found.append((fields["event"], json.loads(fields["data"]), number))
        return found

    def of(self, kind: str) -> list[Any]:
        """The data of the events of a kind."""
        return [data for name, data, _ in self.events if name == kind]

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self._reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message["body"]
            self.ended = not message.get("more_body", False)
