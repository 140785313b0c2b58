"""A line to a server that falls silent on demand, for tests of drivers: it forwards bytes, until it does not.

Only what the conformance suite needs: no delays, no resets. Rule: closed, it leaves no socket and no task.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

__all__ = ["Line"]


class Line:
    """A port of 127.0.0.1 that leads to `upstream`; with `silent` it accepts, and says nothing from the start.

    async with Line(("127.0.0.1", 5432)) as line:
        ...                    # connect to line.port
        line.silent = True     # from here on nothing comes through, and nobody is told
    """

    def __init__(self, upstream: tuple[str, int], *, silent: bool = False) -> None:
        self.silent = silent
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def open(self) -> int:
        """How many clients are connected."""
        return len(self._tasks)

    async def __aenter__(self) -> Line:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # what was aborted is closed by the loop

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name=f"line {self.port}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self.silent:
                await reader.read()  # until the client hangs up
                return
            back, forth = await asyncio.open_connection(*self._upstream)
            self._writers.add(forth)
            try:
                ways = [asyncio.ensure_future(self._copy(reader, forth)), asyncio.ensure_future(self._copy(back, writer))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.wait(ways)
            finally:
                forth.transport.abort()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if not self.silent:
                sink.write(data)
                await sink.drain()
