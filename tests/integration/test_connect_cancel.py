"""Connects cancelled at random moments: every cancel comes out, and neither we nor the servers keep anything of them."""

from __future__ import annotations

import asyncio
import gc
import random
import warnings
from typing import Any

import pytest

from aioclustersql import Cluster
from tests.integration.support import ENGINES, Engine, Galera, engine_of, settled, warm_up

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("servers_started", "no_leaked_sockets")]

CONNECTS = 1000
AT_ONCE = 4


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Three healthy servers."""
    return engine_of(request)


async def cancelled_connect(engine: Engine, cluster: Cluster[Any], rng: random.Random, longest: float) -> str:
    """Connect, be cancelled at some moment, and close what was opened before that. Returns how it ended."""
    task = asyncio.create_task(cluster.connect())
    for _ in range(rng.randrange(3)):
        await asyncio.sleep(0)
    if rng.random() < 0.9:
        await asyncio.sleep(rng.random() * longest)
    cancelled = task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() is cancelled
    if cancelled:
        return "cancelled"
    await engine.close(task.result())
    return "connected"


@pytest.mark.every_loop
@pytest.mark.parametrize("stagger", ["auto", 0])
async def test_connects_cancelled_at_random_moments_leave_nothing(
    engine: Engine, stagger: object, recwarn: pytest.WarningsRecorder
) -> None:
    warnings.simplefilter("always")
    rng = random.Random(2)
    complaints = await engine.complaints("127.0.0.1") if isinstance(engine, Galera) else None
    async with engine.unwatched(stagger=stagger) as cluster:
        await warm_up(cluster, 30)
        took = max(node.latency or 0 for node in cluster.stats().nodes.values())

        async def some() -> list[str]:
            return [await cancelled_connect(engine, cluster, rng, 2 * took) for _ in range(CONNECTS // 2 // AT_ONCE)]

        ends = [end for ends in await asyncio.gather(*(some() for _ in range(AT_ONCE))) for end in ends]
        assert len(ends) == CONNECTS // 2
        assert ends.count("cancelled") > CONNECTS // 10
        await settled(cluster)
    await engine.wait_left()
    if isinstance(engine, Galera):
        # A login is not interrupted for a caller who leaves: the server would count it against this host.
        assert await engine.complaints("127.0.0.1") == complaints
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
