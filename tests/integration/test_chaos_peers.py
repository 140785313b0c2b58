"""The peers that the chaos stand compares ours with, on healthy servers: each does what it is asked for, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from chaos.client import Client
from chaos.clients.peers import peers
from tests.integration.support import ENGINES, Engine, engine_of, until

pytestmark = pytest.mark.integration


@dataclass(frozen=True, slots=True)
class Sql:
    """What one engine is asked for."""

    table: tuple[str, ...]
    """Committing the key `slow` takes half a minute."""
    keys: str
    slow: str
    """The sessions that are at it."""
    end: str


SQL = {
    "galera": Sql(
        (
            "CREATE OR REPLACE TABLE test.peers (id INT PRIMARY KEY AUTO_INCREMENT, k VARCHAR(40))",
            "CREATE TRIGGER test.slow BEFORE INSERT ON test.peers FOR EACH ROW SET @slept = SLEEP(IF(NEW.k = 'slow', 30, 0))",
        ),
        "SET STATEMENT wsrep_sync_wait = 1 FOR SELECT k FROM test.peers",
        "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'",
        "KILL CONNECTION {}",
    ),
    "postgres": Sql(
        (
            "drop table if exists peers",
            "create table peers (id bigint generated always as identity primary key, k varchar(40))",
            """create or replace function slow() returns trigger language plpgsql
               as $$begin if new.k = 'slow' then perform pg_sleep(30); end if; return null; end$$""",
            "create constraint trigger slow after insert on peers initially deferred for each row execute function slow()",
        ),
        "select k from peers",
        "select pid from pg_stat_activity where wait_event = 'PgSleep'",
        "select pg_terminate_backend({})",
    ),
}


class Stand:
    """A table on the servers of one engine, and one peer as their client."""

    def __init__(self, kind: str, engine: Engine) -> None:
        self.engine = engine
        self.sql = SQL[kind]
        self.kind = kind

    async def ask(self, node: Any, statement: str) -> list[str]:
        rows = await asyncio.to_thread(node.sql, statement)
        return [str(row[0]) for row in rows]

    async def keys(self) -> list[str]:
        """What was appended, by the first node."""
        return await self.ask(self.engine.nodes[0], self.sql.keys)

    async def slow(self) -> list[tuple[Any, str]]:
        """The sessions that append `slow` now, with their nodes."""
        return [(node, session) for node in self.engine.nodes for session in await self.ask(node, self.sql.slow)]

    async def end_the_slow(self) -> None:
        for node, session in await self.slow():
            await self.ask(node, self.sql.end.format(session))

    @asynccontextmanager
    async def client(self, peer: str) -> AsyncIterator[Client]:
        client = peers(self.kind)[peer]()
        assert client.name == peer
        await client.open(self.engine.urls(), "peers")
        try:
            yield client
        finally:
            await client.close()

    async def begin_the_slow(self, client: Client) -> asyncio.Task[None]:
        """An append that a server is at."""
        append = asyncio.create_task(client.append("slow"))

        async def sleeping() -> bool:
            assert not append.done(), append
            return bool(await self.slow())

        await until(sleeping, "no server is at the slow append")
        return append


@pytest.fixture
def stand(request: pytest.FixtureRequest) -> Stand:
    stand = Stand(request.param, engine_of(request))
    for statement in stand.sql.table:
        stand.engine.nodes[0].sql(statement)
    return stand


every_peer = pytest.mark.parametrize(("stand", "peer"), [(e, name) for e in ENGINES for name in peers(e)], indirect=["stand"])


@every_peer
async def test_a_peer_appends_once_and_leaves_no_session(stand: Stand, peer: str) -> None:
    async with stand.client(peer) as client:
        await client.append("one")
        await client.read()
    await stand.engine.wait_left()
    assert await stand.keys() == ["one"]


@every_peer
async def test_a_peer_goes_on_after_a_cancel(stand: Stand, peer: str) -> None:
    async with stand.client(peer) as client:
        append = await stand.begin_the_slow(client)
        append.cancel()
        await stand.end_the_slow()  # some libraries give a connection back, however long that takes
        with pytest.raises(asyncio.CancelledError) as caught:
            await append
        assert client.unknown(caught.value)
        await client.append("next")
    assert await stand.keys() == ["next"]


@every_peer
async def test_an_append_that_lost_its_session_is_unknown_and_a_refused_one_is_not(stand: Stand, peer: str) -> None:
    async with stand.client(peer) as client:
        append = await stand.begin_the_slow(client)
        await stand.end_the_slow()
        with pytest.raises(Exception) as lost:
            await append
        with pytest.raises(Exception) as refused:
            await client.append("a key that is too long for its column of 40")
        assert (client.unknown(lost.value), client.unknown(refused.value)) == (True, False)
