"""What connections of one pool weigh, measured in a process of its own: `python -m bench.footprint POOL URL COUNT SECONDS`.

It prints one line of JSON. Memory is the resident set of the process; CPU its own, while nothing is asked of the pool.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from contextlib import AsyncExitStack

import psutil

from bench.elastic import Make, makers

__all__ = ["main"]


def main(name: str, url: str, count: int, seconds: float) -> dict[str, float]:
    """Bytes and CPU seconds per second, of each connection, idle and leased."""
    make = makers("aiomysql" if url.startswith("mysql") else "asyncpg")[name]
    return asyncio.run(_measure(make, url, count, seconds))


async def _measure(make: Make, url: str, count: int, seconds: float) -> dict[str, float]:
    first = await make([url], 1, 1)  # what is loaded and cached by the first is no other's weight
    async with first.lease() as conn:
        await first.ask(conn, "SELECT 1")
    await first.close()
    empty = _resident()
    pool = await make([url], count, count)
    try:
        async with AsyncExitStack() as stack:
            for _ in range(count):  # some open their connections only when they are wanted
                await pool.ask(await stack.enter_async_context(pool.lease()), "SELECT 1")
            leased, leased_cpu = _resident(), await _cpu(seconds)
        await asyncio.sleep(0.5)
        idle, idle_cpu = _resident(), await _cpu(seconds)
    finally:
        await pool.close()
    figures = {"idle": idle - empty, "leased": leased - empty, "idle_cpu": idle_cpu, "leased_cpu": leased_cpu}
    return {what: figure / count for what, figure in figures.items()}


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def _cpu(seconds: float) -> float:
    """CPU seconds per second while nothing happens."""
    began = time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - began) / seconds


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
