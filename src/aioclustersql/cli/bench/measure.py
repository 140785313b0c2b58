"""Connects, or leases, one after another in so many workers and for so long: times, nodes and errors. Prints nothing.

Rule: bounded by its seconds and by the cluster's own time-outs, and its memory does not grow.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...cluster import Cluster
from ...errors import ClusterError
from ...runtime.failures import describe
from .spread import Spread

__all__ = ["Result", "connects", "leases"]

_ERRORS = 5
"""Different errors that are kept."""
_REST = 0.01
"""Seconds after an error, so that one that comes at once is not asked for a thousand times."""


@dataclass(slots=True)
class Result:
    """What was measured."""

    what: str
    seconds: float = 0.0
    times: Spread = field(default_factory=Spread)
    nodes: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "what": self.what,
            "seconds": self.seconds,
            "per_second": self.times.count / self.seconds if self.seconds else 0.0,
            **self.times.as_dict(),
            "nodes": dict(sorted(self.nodes.items())),
            "failed": self.failed,
            "errors": dict(self.errors),
        }


async def connects(cluster: Cluster[Any], seconds: float, workers: int) -> Result:
    """From the call to the driver's connection; the goodbye is not counted, but takes its time."""
    loop = asyncio.get_running_loop()

    async def once(result: Result) -> None:
        began = loop.time()
        async with cluster.connect() as conn:
            result.times.add(loop.time() - began)
            result.nodes[cluster.node_of(conn)] += 1

    return await _measure("connects", once, seconds, workers)


async def leases(cluster: Cluster[Any], seconds: float, workers: int) -> Result:
    """From the call to the pooled connection; its return is not counted."""
    loop = asyncio.get_running_loop()

    async def once(result: Result) -> None:
        began = loop.time()
        async with cluster.acquire() as conn:
            result.times.add(loop.time() - began)
            result.nodes[cluster.node_of(conn)] += 1
        await asyncio.sleep(0)  # a lease that is at hand never waits, and neither would anybody else's turn come

    return await _measure("leases", once, seconds, workers)


async def _measure(what: str, once: Callable[[Result], Awaitable[None]], seconds: float, workers: int) -> Result:
    result = Result(what)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def work() -> None:
        while loop.time() < began + seconds:
            try:
                await once(result)
            except (ClusterError, OSError) as exc:
                result.failed += 1
                said = describe(exc)
                if said in result.errors or len(result.errors) < _ERRORS:
                    result.errors[said] += 1
                await asyncio.sleep(_REST)

    async with asyncio.TaskGroup() as tasks:
        for number in range(workers):
            tasks.create_task(work(), name=f"bench {what} {number}")
    result.seconds = loop.time() - began
    return result
