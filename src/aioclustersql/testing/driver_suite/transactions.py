"""Transactions and savepoints, and what `in_transaction` says of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from aioclustersql.drivers.base import TransactionOptions
from aioclustersql.errors import ConfigError
from aioclustersql.failure import FailureKind
from aioclustersql.node import Isolation

from .base import Promises
from .stand import Stand
from .tools import PLAIN, TABLE, commit, ids, login, opened, table

__all__ = ["TransactionPromises"]


class TransactionPromises(Promises):
    """Transactions and savepoints, and what `in_transaction` says of them."""

    def test_a_transaction_commits_or_rolls_back(self, stand: Stand) -> None:
        async def test() -> None:
            async with table(stand), opened(stand) as conn, opened(stand) as other:
                for number, end in enumerate(("commit", "rollback")):
                    transaction = await stand.driver.begin(conn, PLAIN)
                    assert stand.driver.in_transaction(conn)
                    await stand.rows(conn, f"INSERT INTO {TABLE} VALUES ({number})")
                    await getattr(transaction, end)()
                    assert not stand.driver.in_transaction(conn)
                    assert await ids(stand, other) == [0]

        self.run(test)

    def test_inside_of_a_transaction_a_savepoint_is_set(self, stand: Stand) -> None:
        async def test() -> None:
            async with table(stand), opened(stand) as conn:
                outer = await stand.driver.begin(conn, PLAIN)
                for number, end in enumerate(("commit", "rollback")):
                    inner = await stand.driver.begin(conn, PLAIN)
                    await stand.rows(conn, f"INSERT INTO {TABLE} VALUES ({number})")
                    await getattr(inner, end)()
                    assert stand.driver.in_transaction(conn)
                for options in (TransactionOptions(Isolation.SERIALIZABLE), TransactionOptions(readonly=True)):
                    with pytest.raises(ConfigError):
                        await stand.driver.begin(conn, options)
                await outer.commit()
                assert await ids(stand, conn) == [0]

        self.run(test)

    def test_a_read_only_transaction_writes_nothing(self, stand: Stand) -> None:
        async def test() -> None:
            async with table(stand), opened(stand) as conn:
                transaction = await stand.driver.begin(conn, TransactionOptions(readonly=True))
                with pytest.raises(Exception):
                    await stand.rows(conn, f"INSERT INTO {TABLE} VALUES (1)")
                await transaction.rollback()
                transaction = await stand.driver.begin(conn, PLAIN)
                await stand.rows(conn, f"INSERT INTO {TABLE} VALUES (2)")
                await transaction.commit()
                assert await ids(stand, conn) == [2]

        self.run(test)

    def test_every_isolation_level_can_be_asked_for(self, stand: Stand) -> None:
        async def test() -> None:
            async with opened(stand) as conn:
                for isolation in Isolation:
                    transaction = await stand.driver.begin(conn, TransactionOptions(isolation))
                    await stand.rows(conn, "SELECT 1")
                    await transaction.rollback()
                    assert not stand.driver.in_transaction(conn)
                refused = ""
                try:
                    transaction = await stand.driver.begin(conn, TransactionOptions(Isolation.SERIALIZABLE, True, True))
                    await transaction.rollback()
                except ConfigError as refusal:
                    refused = str(refusal)
                assert not refused or "deferrable" in refused
                assert not stand.driver.in_transaction(conn)

        self.run(test)

    def test_of_a_connection_that_was_cut_off_the_last_answer_counts(self, stand: Stand) -> None:
        async def test() -> None:
            for begun in (True, False):
                conn = await login(stand)
                if begun:
                    await stand.driver.begin(conn, PLAIN)
                stand.driver.terminate(conn)
                assert stand.driver.in_transaction(conn) is begun
                await stand.driver.close(conn)

        self.run(test)

    def test_two_that_are_in_each_others_way_may_run_again(self, stand: Stand) -> None:
        async def test() -> None:
            async with table(stand), opened(stand) as one, opened(stand) as other:
                await stand.rows(one, f"INSERT INTO {TABLE} VALUES (1)")
                await stand.rows(one, f"INSERT INTO {TABLE} VALUES (2)")
                await commit(stand, one)

                async def work(conn: Any, first: int, met: asyncio.Barrier) -> None:
                    transaction = await stand.driver.begin(conn, PLAIN)
                    await stand.rows(conn, f"UPDATE {TABLE} SET id = id + 10 WHERE id = {first}")
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.5):
                            await met.wait()
                    await stand.rows(conn, f"UPDATE {TABLE} SET id = id + 10 WHERE id = {3 - first}")
                    await transaction.commit()

                met = asyncio.Barrier(2)
                results = await asyncio.gather(work(one, 1, met), work(other, 2, met), return_exceptions=True)
                lost = [result for result in results if result is not None]
                assert len(lost) == 1
                assert stand.driver.classify(lost[0]) is FailureKind.ROLLED_BACK

        self.run(test)
