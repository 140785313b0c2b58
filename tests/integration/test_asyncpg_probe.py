"""What the asyncpg driver learns of real servers by its probe, and of a socket by a look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.drivers.base import Observation
from aioclustersql.node import Role
from tests.integration.logins import connected, driver

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any]


async def observed(conn: Connection, wanted: Callable[[Observation], bool]) -> Observation:
    """Probe until it shows."""
    async with asyncio.timeout(10):
        while not wanted(found := await driver.probe(conn, causal=False)):
            await asyncio.sleep(0.01)
        return found


async def test_a_primary(postgres: PostgresCluster) -> None:
    async with connected(postgres.primary.dsn()) as conn:
        for causal in (False, True):
            assert await driver.probe(conn, causal=causal) == Observation(Role.PRIMARY, timeline=1, lag=0.0, lag_bytes=0)


async def test_a_primary_made_read_only(postgres: PostgresCluster) -> None:
    async with connected(postgres.primary.dsn()) as conn:
        await driver.probe(conn, causal=False)
        postgres.primary.set(default_transaction_read_only="on")
        postgres.primary.reload()
        assert (await observed(conn, lambda found: found.role is not Role.PRIMARY)).role is Role.READ_ONLY


async def test_a_standby_that_has_caught_up(postgres: PostgresCluster) -> None:
    postgres.wait_replayed()
    async with connected(postgres.standbys[0].dsn()) as conn:
        found = await observed(conn, lambda found: found.lag == 0)
        assert found == Observation(Role.STANDBY, timeline=1, lag=0.0, lag_bytes=0)


async def test_a_standby_that_is_behind(postgres: PostgresCluster) -> None:
    standby = postgres.standbys[0]
    postgres.primary.sql("create table if not exists behind (x int)")
    postgres.wait_replayed()
    async with connected(standby.dsn()) as conn:
        standby.sql("select pg_wal_replay_pause()")
        try:
            postgres.primary.sql("insert into behind select generate_series(1, 1000)")
            found = await observed(conn, lambda found: bool(found.lag_bytes))
            assert (found.role, found.ready) == (Role.STANDBY, True)
            assert found.lag is not None
            assert found.lag > 0
            grown = await observed(conn, lambda later: (later.lag or 0) > (found.lag or 0))
            assert grown.lag_bytes is not None
        finally:
            standby.sql("select pg_wal_replay_resume()")


async def test_a_standby_without_a_receiver_does_not_know_its_lag(postgres: PostgresCluster) -> None:
    standby = postgres.standbys[0]
    postgres.primary.kill9()
    async with connected(standby.dsn()) as conn:
        found = await observed(conn, lambda found: found.lag is None)
        assert (found.role, found.lag_bytes, found.timeline) == (Role.STANDBY, None, None)


async def test_a_promoted_standby_is_a_primary_of_a_new_timeline(postgres: PostgresCluster) -> None:
    standby = postgres.nodes[1]
    async with connected(standby.dsn()) as conn:
        assert (await driver.probe(conn, causal=False)).role is Role.STANDBY
        await asyncio.to_thread(standby.promote)
        found = await driver.probe(conn, causal=False)
        assert (found.role, found.lag, found.lag_bytes) == (Role.PRIMARY, 0.0, 0)
        assert found.timeline == 2


async def test_without_the_right_to_monitor_role_and_lag_are_known(postgres: PostgresCluster) -> None:
    postgres.primary.sql("drop role if exists plain_user; create role plain_user login")
    postgres.wait_replayed()
    async with connected(postgres.standbys[0].dsn("plain_user")) as conn:
        found = await observed(conn, lambda found: found.lag == 0)
        assert (found.role, found.timeline, found.lag_bytes) == (Role.STANDBY, None, 0)
    async with connected(postgres.primary.dsn("plain_user")) as conn:
        assert await driver.probe(conn, causal=False) == Observation(Role.PRIMARY, timeline=1, lag=0.0, lag_bytes=0)


@pytest.mark.every_loop
async def test_silence_grows_until_the_server_answers(postgres: PostgresCluster) -> None:
    async with connected(postgres.primary.dsn()) as conn:
        async with asyncio.timeout(10):
            while (silence := driver.last_received(conn)) is not None and silence < 0.2:
                await asyncio.sleep(0.01)
        assert silence is not None
        await driver.ping(conn)
        after = driver.last_received(conn)
        assert after is not None
        assert after < silence
    assert driver.last_received(conn) is None
