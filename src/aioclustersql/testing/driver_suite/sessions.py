"""What a reset takes away, what it leaves, and what a cluster makes of it all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aioclustersql import Cluster

from .base import Promises
from .stand import Stand
from .tools import PLAIN, TABLE, commit, ids, opened, reset, table, value

__all__ = ["SessionPromises"]


class SessionPromises(Promises):
    """What a reset takes away, what it leaves, and what a cluster makes of it all."""

    def test_the_next_borrower_sees_nothing_of_the_last_one(self, stand: Stand) -> None:
        async def test() -> None:
            async with table(stand), opened(stand) as conn:
                before = await value(stand, conn, stand.show_setting)
                await stand.driver.reset(conn, None)
                await stand.rows(conn, stand.set_setting)
                assert await value(stand, conn, stand.show_setting) != before
                await commit(stand, conn)
                await stand.rows(conn, f"CREATE TEMPORARY TABLE {TABLE}_mine (id INTEGER)")
                await commit(stand, conn)
                await stand.driver.begin(conn, PLAIN)
                await stand.rows(conn, f"INSERT INTO {TABLE} VALUES (1)")
                await reset(stand.driver, conn, None)
                assert not stand.driver.in_transaction(conn)
                assert await value(stand, conn, stand.show_setting) == before
                assert await ids(stand, conn) == []
                with pytest.raises(Exception):
                    await stand.rows(conn, f"SELECT * FROM {TABLE}_mine")
                await reset(stand.driver, conn, None)  # also out of a transaction that has failed

        self.run(test)

    def test_what_was_set_up_survives_a_reset(self, stand: Stand) -> None:
        async def test() -> None:
            async with opened(stand) as conn:
                before = await value(stand, conn, stand.show_setting)
                await commit(stand, conn)
                await stand.rows(conn, stand.set_setting)
                await commit(stand, conn)
                wanted = await value(stand, conn, stand.show_setting)
                await commit(stand, conn)
                baseline = await stand.driver.baseline(conn)
                for way in (baseline, None, None, baseline, baseline, None):
                    await reset(stand.driver, conn, way)
                    assert await value(stand, conn, stand.show_setting) == (before if way is None else wanted)
                    await commit(stand, conn)

        self.run(test)

    def test_a_cluster_of_it_pools_retries_and_closes(self, stand: Stand) -> None:
        async def test() -> None:
            async with table(stand):
                cluster: Cluster[Any] = Cluster(
                    {"n1": stand.dsn}, driver=stand.driver, connect_options=stand.options, max_size=2, monitor_interval=0.1
                )
                async with cluster:
                    await cluster.wait_ready()

                    async def insert(conn: Any, number: int) -> int:
                        await stand.rows(conn, f"INSERT INTO {TABLE} VALUES ({number})")
                        return number

                    assert await asyncio.gather(*(cluster.run(insert, number) for number in range(8))) == list(range(8))
                    async with cluster.transaction() as conn:
                        await insert(conn, 8)
                    with pytest.raises(ZeroDivisionError):
                        async with cluster.transaction() as conn:
                            await insert(conn, 9)
                            raise ZeroDivisionError
                    async with cluster.connect(target="prefer-standby") as conn:
                        assert cluster.node_of(conn) == "n1"
                        assert await ids(stand, conn) == list(range(9))
                    async with cluster.acquire(target="any") as conn:
                        assert await value(stand, conn, "SELECT 1") == 1

        self.run(test)
