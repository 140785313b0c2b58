"""A TCP proxy that misbehaves on demand, in the test's own event loop: what a network does to clients, without root.

It needs a loop in real time. Modes, changeable at any time with `set_mode`:

- `ok`: forwards at once;
- `delay`: forwards, both ways, `delay` seconds later;
- `stalls`: forwards at once, but holds one in a hundred requests, by turns for 50 ms, 0.4 s and 3 s, and never two of one
  connection soon after one another: a unit of work meets one at most;
- `hang`: accepts and forwards nothing, on open connections either, until another mode lets everything through;
- `refuse`: the port is closed; open connections go on;
- `reset`: accepts and resets at once; open connections go on (`drop` resets those);
- `backlog`: the accept queue is full, so that a connect gets no answer at all; open connections go on;
- `black_hole`: `backlog` for new connections and `hang` for open ones, as when a host is gone from the network.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Literal, Self

Mode = Literal["ok", "delay", "stalls", "hang", "refuse", "reset", "backlog", "black_hole"]

PORTS = range(20000, 30000)
"""Below 32768, where Linux takes the ports of outgoing connections from."""

STALLED = 0.01
STALLS = (0.05, 0.4, 3.0)
"""The part of requests that the mode `stalls` holds, and for how many seconds: by turns, so that few stalls hold all of these."""
CALM = 20
"""So many requests of a connection at least are not held after one that was."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_Chunks = asyncio.Queue[tuple[float, bytes | None]]
"""What was read and when: `b""` is the end of the stream, None a reset."""


class Proxy:
    """Forwards to `upstream`, from the address `source`; `async with` starts and stops it.

    `within`: its port is opened in this context, for one that is in another network. `seed`: in the mode `stalls` the same
    requests are held each time, by their order of arrival, and for as long.
    """

    def __init__(
        self,
        upstream: tuple[str, int],
        *,
        source: str = "127.0.0.1",
        delay: float = 0.0,
        mode: Mode | None = None,
        host: str = "127.0.0.1",
        within: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        seed: str | None = None,
    ) -> None:
        self.upstream = upstream
        self.source = source
        self.host = host
        self.within = within
        self.port = 0
        self.delay = delay
        self.mode: Mode = mode or ("delay" if delay else "ok")
        self.accepted = 0
        """Connections taken from clients, ever."""
        self.bytes_sent = 0
        """Bytes forwarded from clients to the server."""
        self.bytes_received = 0
        """Bytes forwarded from the server to clients."""
        self._seed = seed
        self._fates = random.Random(seed)
        self._stalls = itertools.cycle(STALLS)
        self._flowing = asyncio.Event()
        self._listener: socket.socket | None = None
        self._accepting = False
        self._fillers: list[socket.socket] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Proxy {self.host}:{self.port} {self.mode}, {self.open_connections} open, {self.accepted} accepted>"

    @property
    def open_connections(self) -> int:
        """Connections that their client has neither closed nor lost."""
        return len(self._open)

    async def __aenter__(self) -> Self:
        with self.within():
            self.port = _find_port(self.host)
        await self.set_mode(self.mode)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def set_mode(self, mode: Mode, delay: float | None = None) -> None:
        """Behave like this from now on."""
        self.mode = mode
        self.delay = self.delay if delay is None else delay
        self._fates = random.Random(self._seed)
        self._stalls = itertools.cycle(STALLS)
        if mode in ("hang", "black_hole"):
            self._flowing.clear()
        else:
            self._flowing.set()
        if mode in ("refuse", "backlog", "black_hole"):
            self._stop_listening()
            if mode != "refuse":
                self._listen_without_room()
        elif not self._accepting:
            self._stop_listening()
            self._listener = self._bind()
            self._listener.listen(512)
            self._accepting = True
            asyncio.get_running_loop().add_reader(self._listener, self._take, self._listener)

    def drop(self) -> None:
        """Reset every open connection, as a crashed host does when it is back."""
        for writer in self._open:
            _reset(writer)

    async def stop(self) -> None:
        """Close the port and every connection."""
        self._stop_listening()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            for writer in self._writers:  # else a task that was cancelled might wait until all is sent, which nobody reads
                writer.transport.abort()
            await asyncio.wait(self._tasks, timeout=0.1)
        for writer in self._writers:
            writer.transport.abort()
        # Not `wait_closed`: a task that was cancelled in it has cancelled the future behind it for everybody. Two turns of the
        # loop close what was aborted.
        self._writers.clear()
        for _ in range(2):
            await asyncio.sleep(0)

    def _bind(self) -> socket.socket:
        with self.within():
            listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.setblocking(False)
        return listener

    def _listen_without_room(self) -> None:
        """A queue of length 0 holds one connection; to all further ones the kernel does not answer."""
        self._listener = self._bind()
        self._listener.listen(0)
        for _ in range(2):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))
            self._fillers.append(filler)

    def _stop_listening(self) -> None:
        if self._accepting and self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)  # before another socket has its number
        for listening in (*self._fillers, self._listener):
            if listening:
                listening.close()
        self._accepting, self._listener, self._fillers = False, None, []

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"proxy {self.port}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _take(self, listener: socket.socket) -> None:
        """Not by asyncio's own server, which loses (and leaks) a connection that comes at the moment at which it is closed."""
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        accepted.setblocking(False)
        # Else a second answer waits 40 ms for the acknowledgement of the first. asyncio sets it on its own servers' sockets only.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._spawn(self._welcome(accepted)).add_done_callback(lambda task: accepted.close() if task.cancelled() else None)

    async def _welcome(self, accepted: socket.socket) -> None:
        self._accept(*await asyncio.open_connection(sock=accepted))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        if self.mode == "reset":
            _reset(writer)
            self._spawn(self._close(writer))
        else:
            self._open.add(writer)
            self._spawn(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        requests: _Chunks = asyncio.Queue(64)
        # Reading starts at once and goes on while nothing flows: it is how a client that leaves is noticed.
        reading = self._spawn(self._read(reader, requests, client))
        try:
            await self._may_flow(asyncio.get_running_loop().time())
            if client in self._open:
                await self._carry(requests, client)
        except OSError:
            _reset(client)
        finally:
            reading.cancel()
            self._open.discard(client)
            await self._close(client)

    async def _carry(self, requests: _Chunks, client: asyncio.StreamWriter) -> None:
        """Forward until one side has closed and what it said before has been delivered."""
        reader, server = await asyncio.open_connection(*self.upstream, local_addr=(self.source, 0))
        self._writers.add(server)
        replies: _Chunks = asyncio.Queue(64)
        reading = self._spawn(self._read(reader, replies))
        deliveries = [self._spawn(self._deliver(requests, server, client)), self._spawn(self._deliver(replies, client, client))]
        try:
            await asyncio.wait(deliveries, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, *deliveries):
                task.cancel()
            await self._close(server)

    async def _read(self, reader: asyncio.StreamReader, chunks: _Chunks, client: asyncio.StreamWriter | None = None) -> None:
        loop = asyncio.get_running_loop()
        data: bytes | None = None
        while True:
            try:
                data = await reader.read(65536)
            except OSError:
                data = None
            if not data and client:
                self._open.discard(client)
            await chunks.put((loop.time(), data))
            if not data:
                return

    def _stall(self) -> float:
        """For how long the next request is held."""
        return next(self._stalls) if self._fates.random() < STALLED else 0.0

    async def _deliver(self, chunks: _Chunks, writer: asyncio.StreamWriter, client: asyncio.StreamWriter) -> None:
        calm = CALM
        while True:
            read_at, data = await chunks.get()
            if self.mode == "stalls" and writer is not client and data:
                stall = self._stall() if calm >= CALM else 0.0
                calm = 0 if stall else calm + 1
                await asyncio.sleep(stall)
            await self._may_flow(read_at)
            if data is None:
                _reset(writer)
            if not data:
                return
            try:
                writer.write(data)
                await writer.drain()
            except OSError:
                return
            if writer is client:
                self.bytes_received += len(data)
            else:
                self.bytes_sent += len(data)

    async def _may_flow(self, read_at: float) -> None:
        if self.mode == "delay":
            await asyncio.sleep(read_at + self.delay - asyncio.get_running_loop().time())
        await self._flowing.wait()

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        """Say goodbye once all that was written is on its way; `stop` does not wait for that."""
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._writers.discard(writer)


def _find_port(host: str) -> int:
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise OSError(f"no free port of {host} found in {PORTS}")


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST."""
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
