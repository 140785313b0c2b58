"""`Cluster.run` and `Cluster.transaction` as users call them: over the pool, the fake driver below it."""

from __future__ import annotations

from typing import Any

import pytest

from aioclustersql.errors import ConfigError, NotOpen, TransactionOutcomeUnknown
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role
from aioclustersql.testing import FakeConnection, FakeError, FakeServer

from .conftest import Pooling, Racing


async def read(conn: FakeConnection) -> str:
    """A unit of work."""
    await conn.execute("SELECT")
    return conn.server.name


def losing_its_first_commit(server: FakeServer) -> None:
    """The server breaks the connection when it first sees a COMMIT."""
    left = [FakeError(FailureKind.SESSION_LOST, "gone")]

    def answer(conn: FakeConnection, statement: str, _args: tuple[object, ...]) -> None:
        if statement == "COMMIT" and left:
            server.end(conn.id, "lost")
            raise left.pop()

    server.on_execute = answer


async def test_a_unit_is_run_and_committed_on_a_pooled_connection(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    assert await cluster.run(read) == "a"
    assert driver["a"].statements == ["BEGIN", "SELECT", "COMMIT"]
    assert (cluster.stats().nodes["a"].leased, driver["a"].started) == (0, 1)


async def test_a_block_is_rolled_back_when_it_raises(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    with pytest.raises(ZeroDivisionError):
        async with cluster.transaction() as conn:
            await conn.execute("INSERT")
            raise ZeroDivisionError
    assert driver["a"].statements == ["BEGIN", "INSERT", "ROLLBACK"]


async def test_a_write_whose_commit_got_no_answer_is_not_run_again(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"))
    losing_its_first_commit(driver["a"])
    with pytest.raises(TransactionOutcomeUnknown, match="on node a"):
        await cluster.run(read)
    assert driver["a"].statements.count("SELECT") == 1


@pytest.mark.parametrize("options", [{"readonly": True}, {"target": "prefer-standby"}, {"idempotent": True}])
async def test_what_does_no_harm_is_run_again_when_its_commit_got_no_answer(pooling: Pooling, options: dict[str, Any]):
    cluster, driver = await pooling(("a", 0, "ok"))
    losing_its_first_commit(driver["a"])
    assert await cluster.run(read, **options) == "a"
    assert driver["a"].statements.count("SELECT") == 2


async def test_a_view_of_the_standbys_runs_read_only_there(pooling: Pooling):
    cluster, driver = await pooling(("a", 0, "ok"), ("b", 0, "ok"))
    driver["a"].role, driver["b"].role = Role.PRIMARY, Role.STANDBY
    assert await cluster.with_options(target="standby").run(read) == "b"
    assert driver["b"].statements == ["BEGIN READ ONLY", "SELECT", "COMMIT"]


async def test_a_cluster_that_is_not_open_runs_nothing_and_begins_on_a_connection_of_the_caller(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    with pytest.raises(NotOpen, match="is not open: enter it"):
        await cluster.run(read)
    with pytest.raises(NotOpen, match="is not open: enter it"):
        cluster.transaction()
    conn = await cluster.connect()
    async with cluster.transaction(conn) as same:
        assert same is conn
        async with cluster.transaction(conn):
            await conn.execute("INSERT")
    assert driver["a"].statements == ["BEGIN", "SAVEPOINT s1", "INSERT", "RELEASE SAVEPOINT s1", "COMMIT"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"isolation": "serialisable"}, ConfigError, "isolation 'serialisable' is unknown; it is one of"),
        ({"target": "master"}, ConfigError, "target 'master' is unknown"),
        ({"attempts": 0}, ValueError, "attempts is a number of runs"),
        ({"timeout": -1}, ValueError, "timeout is seconds, 0 or more"),
        ({"idempotent": "no"}, ConfigError, "idempotent is True or False"),
    ],
)
async def test_wrong_words_are_named(pooling: Pooling, options: dict[str, Any], error: type[Exception], message: str):
    cluster, _ = await pooling(("a", 0, "ok"))
    with pytest.raises(error, match=message):
        await cluster.run(read, **options)
