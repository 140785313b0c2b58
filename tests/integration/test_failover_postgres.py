"""PostgreSQL loses its primary under load, and half a second later a standby is promoted: what the writers notice of it.

Standbys confirm every commit, so that none that was acknowledged dies with the primary. Each story is told once; each test asks
its record for one promise.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from aioclustersql.demo.pgnode import PostgresNode
from aioclustersql.demo.postgres import PostgresCluster
from tests.integration.load import Load, load, misplaced
from tests.integration.logins import connected
from tests.integration.scene import Leftovers, leftovers, play
from tests.integration.store import Store, store_of
from tests.integration.support import Postgres
from tests.servers.proxy import Proxy

pytestmark = [pytest.mark.integration]

WRITERS = 10


@dataclass(slots=True)
class Story:
    """What is left of it."""

    how: str
    load: Load
    lost: float = 0.0
    """When the old primary was taken away."""
    promoted: float = 0.0
    """When the new one took writes."""
    found: dict[str, Counter[str]] = field(default_factory=dict)
    left: Leftovers = field(default_factory=Leftovers)

    @property
    def deadline(self) -> float:
        """By when every writer's next unit has to have succeeded."""
        return self.promoted + 0.1 if self.how == "killed" else max(self.lost + 1.6, self.promoted + 0.3)


async def promote(standby: PostgresNode) -> float:
    """Make it the primary; when a client of its own first sees it take writes."""
    loop = asyncio.get_running_loop()
    async with connected(standby.dsn(database="template1")) as conn:
        promotion = asyncio.create_task(asyncio.to_thread(standby.promote))
        while await conn.fetchval("select pg_is_in_recovery()"):
            await asyncio.sleep(0.002)
        seen = loop.time()
        await promotion
    return seen


async def lose(story: Story, old: PostgresNode, proxy: Proxy) -> None:
    """Take the primary away."""
    if story.how == "frozen":
        await asyncio.to_thread(old.freeze)
    elif story.how == "killed":
        await asyncio.to_thread(old.kill9)
    else:
        await proxy.set_mode("black_hole")


async def come_back(story: Story, old: PostgresNode, proxy: Proxy) -> None:
    """It knows nothing of another primary."""
    if story.how == "frozen":
        await asyncio.to_thread(old.thaw)
    elif story.how == "killed":
        await asyncio.to_thread(old.start)
    else:
        await proxy.set_mode("ok")


async def scene(servers: PostgresCluster, store: Store, how: str) -> Story:
    """Write, lose the primary, promote a standby, let the old one come back."""
    old, new, _ = servers.nodes
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        left = await stack.enter_async_context(leftovers(store.engine))
        proxy = await stack.enter_async_context(Proxy((old.host, old.port)))
        ports = {node.name: node.port for node in servers.nodes} | ({old.name: proxy.port} if how == "black-holed" else {})
        async with (
            store.cluster(ports=ports, target="read-write") as cluster,
            load(cluster, store, writers=WRITERS, pause=0.02) as running,
        ):
            story = Story(how, running, left=left)
            await asyncio.sleep(0.5)
            story.lost = loop.time()
            await lose(story, old, proxy)
            await asyncio.sleep(story.lost + 0.5 - loop.time())
            story.promoted = await promote(new)
            await asyncio.sleep(max(0.0, story.lost + 2.0 - loop.time()))
            await come_back(story, old, proxy)
            await asyncio.sleep(1.0)
        # Else a session in COMMIT there waits for the standbys that have left it, and never sees that its client is gone.
        await asyncio.to_thread(old.set, synchronous_standby_names="")
    story.found = await store.found(new)
    return story


@pytest.fixture(scope="module", params=["frozen", "black-holed", "killed"])
def story(request: pytest.FixtureRequest, postgres_cluster: PostgresCluster) -> Iterator[Story]:
    """A primary is lost in this way."""
    servers = postgres_cluster
    servers.heal()
    servers.primary.set(synchronous_standby_names="2 (pg2, pg3)")
    store = store_of(Postgres(servers), "failover")
    store.create()
    yield play(lambda: scene(servers, store, request.param))
    servers.heal()


def test_every_writer_goes_on_soon_after_the_promotion(story: Story) -> None:
    first = story.load.first_ok("pg2", story.lost)
    late = {task: ended - story.deadline for task, ended in first.items() if ended > story.deadline}
    assert (len(first), late) == (WRITERS, {})


def test_no_unit_fails_but_by_an_outcome_that_nobody_knows(story: Story) -> None:
    assert story.load.failed() == []


def test_nothing_acknowledged_is_lost_and_nothing_is_doubled(story: Story) -> None:
    assert misplaced(story.load.units, story.found) == []


def test_nobody_goes_to_the_old_primary_when_it_is_back(story: Story) -> None:
    assert {node for unit in story.load.units if unit.began > story.promoted + 0.3 for node in unit.tried} == {"pg2"}
