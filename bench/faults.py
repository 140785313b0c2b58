"""Proxies that misbehave, in a process of their own, so that what they cost is not what the libraries are measured by.

`open_proxies` is the side of the benchmark; `python -m bench.faults` the process. They speak JSON, a line each way: first what
the proxies are, then their ports; from then on a question, then its answer. The end of the questions ends the process.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.servers.proxy import Mode, Proxy

__all__ = ["Fault", "Proxies", "open_proxies"]

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Fault:
    """How one proxy before a server behaves. Times are seconds.

    A new connection waits for `stall` seconds, drawn evenly from the two bounds, with the probability `stalls`, before anything
    is forwarded; the draws follow from `seed`. `delay` is added to every chunk, both ways, in the mode `delay`.
    """

    host: str
    port: int
    mode: Mode = "ok"
    delay: float = 0.0
    stalls: float = 0.0
    stall: tuple[float, float] = (0.0, 0.0)
    seed: int = 1


class Proxies:
    """The proxies of one process, in the order of their faults."""

    def __init__(self, process: asyncio.subprocess.Process, ports: Sequence[int]) -> None:
        self.ports = tuple(ports)
        self._process = process

    async def set_mode(self, index: int, mode: Mode) -> None:
        """Behave like this from now on."""
        await self._ask({"index": index, "mode": mode})

    async def accepted(self) -> list[int]:
        """How many connections each has taken so far."""
        return list(await self._ask({}))

    async def _ask(self, question: dict[str, Any]) -> Any:
        return await _exchange(self._process, question)


@asynccontextmanager
async def open_proxies(faults: Sequence[Fault]) -> AsyncIterator[Proxies]:
    """A process with a proxy for each fault; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.faults", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=_ROOT
    )
    try:
        yield Proxies(process, await _exchange(process, [asdict(fault) for fault in faults]))
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _exchange(process: asyncio.subprocess.Process, question: Any) -> Any:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line:
        raise OSError("the process of the proxies has ended; its own message stands above")
    return json.loads(line)


class _Stalling(Proxy):
    """A proxy that sometimes keeps a new connection waiting."""

    def __init__(self, fault: Fault) -> None:
        super().__init__((fault.host, fault.port), delay=fault.delay, mode=fault.mode)
        self._fault = fault
        self._rng = random.Random(fault.seed)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._rng.random() < self._fault.stalls:
            await asyncio.sleep(self._rng.uniform(*self._fault.stall))
        await super()._serve(reader, client)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    async with AsyncExitStack() as stack:
        faults = [Fault(**each) for each in json.loads(await questions.readline())]
        proxies = [await stack.enter_async_context(_Stalling(fault)) for fault in faults]
        _say([proxy.port for proxy in proxies])
        while line := await questions.readline():
            question = json.loads(line)
            if "mode" in question:
                await proxies[question["index"]].set_mode(question["mode"])
            _say([proxy.accepted for proxy in proxies])


def _say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
