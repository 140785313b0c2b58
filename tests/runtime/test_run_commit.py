"""`run`: what a failure means once COMMIT was sent. Rule: what may have been committed is never run again by itself."""

from __future__ import annotations

import asyncio

import pytest

from aioclustersql import events
from aioclustersql.errors import TransactionOutcomeUnknown
from aioclustersql.failure import FailureKind as F
from aioclustersql.testing import FakeConnection, FakeError

from .leases import Stand, fails
from .test_run import write
from .tools import names_of, now

UNKNOWN = [F.UNREACHABLE, F.NOT_READY, F.SESSION_LOST, F.OUTCOME_UNKNOWN, F.INTERRUPTED, F.TIMEOUT, F.LOCK_TIMEOUT, F.OVERLOADED]


@pytest.mark.parametrize("kind", UNKNOWN)
async def test_a_commit_without_a_clear_answer_is_unknown_and_never_run_again(two: Stand, kind: F):
    error = FakeError(kind)
    two["n1"].on_execute = fails("COMMIT", error)
    with pytest.raises(TransactionOutcomeUnknown, match=f"on node n1: COMMIT was sent and may or may not .*: {kind}") as caught:
        await two.run(write)
    assert caught.value.__cause__ is error
    assert (caught.value.node, caught.value.sqlstate) == ("n1", "08007")
    assert two.pool.handed_out == ["n1"]
    assert names_of(two.events) == ["OutcomeUnknown"]


@pytest.mark.parametrize("kind", UNKNOWN)
async def test_the_connection_of_an_unknown_commit_is_closed(two: Stand, kind: F):
    two["n1"].on_execute = fails("COMMIT", kind)
    with pytest.raises(TransactionOutcomeUnknown):
        await two.run(write)
    assert two.driver.open == 0


async def test_a_server_that_dies_in_commit_leaves_it_unknown(two: Stand):
    two["n1"].on_execute = fails("COMMIT", F.OTHER, then=lambda conn: conn.server.kill())
    with pytest.raises(TransactionOutcomeUnknown):
        await two.run(write)


@pytest.mark.parametrize("kind", [F.ROLLED_BACK, F.TRANSACTION_ENDED, F.IDLE_CLOSED])
async def test_a_commit_that_was_rolled_back_runs_again(two: Stand, kind: F):
    two["n1"].on_execute = fails("COMMIT", kind)
    assert await two.run(write) == "n1"
    assert two["n1"].statements.count("INSERT") == 2
    assert now() == 0.025


async def test_a_refused_commit_whose_transaction_may_be_open_is_rolled_back(two: Stand):
    def still_open(conn: FakeConnection) -> None:
        conn.in_transaction = True

    two["n1"].on_execute = fails("COMMIT", F.ROLLED_BACK, then=still_open)
    await two.run(write)
    assert two["n1"].statements == ["BEGIN", "INSERT", "COMMIT", "ROLLBACK", "BEGIN", "INSERT", "COMMIT"]


@pytest.mark.parametrize("kind", [F.ROLE_CHANGED, F.FOUND_CLOSED])
async def test_a_commit_that_was_not_executed_runs_again_elsewhere(two: Stand, kind: F):
    two["n1"].on_execute = fails("COMMIT", kind)
    assert await two.run(write) == "n2"
    assert now() == 0.0


async def test_a_commit_that_was_refused_is_surfaced(two: Stand):
    error = FakeError(F.OTHER, "deferred constraint violated")
    two["n1"].on_execute = fails("COMMIT", error)
    with pytest.raises(FakeError) as caught:
        await two.run(write)
    assert caught.value is error
    assert two.pool.handed_out == ["n1"]


@pytest.mark.parametrize("kind", UNKNOWN)
async def test_idempotent_allows_another_run_after_an_unknown_commit(two: Stand, kind: F):
    two["n1"].on_execute = fails("COMMIT", kind)
    assert await two.run(write, idempotent=True) == "n2"
    assert names_of(two.events) == ["OutcomeUnknown", "RunRetried"]


async def test_an_unknown_commit_stays_unknown_when_the_other_runs_fail(two: Stand):
    two["n1"].on_execute = fails("COMMIT", F.SESSION_LOST)
    last = FakeError(F.ROLLED_BACK, "conflict")
    two["n2"].on_execute = fails("INSERT", last)
    with pytest.raises(TransactionOutcomeUnknown, match="on node n1") as caught:
        await two.run(write, idempotent=True, attempts=2)
    assert caught.value.__cause__ is last


async def test_an_unknown_commit_stays_unknown_when_no_node_serves_any_more(two: Stand):
    def die(conn: FakeConnection) -> None:
        two.driver["n1"].kill()
        two.driver["n2"].kill()

    two["n1"].on_execute = fails("COMMIT", F.SESSION_LOST, then=die)
    with pytest.raises(TransactionOutcomeUnknown):
        await two.run(write, idempotent=True, timeout=2.0)
    assert now() == 2.0


async def test_a_deadline_in_commit_leaves_it_unknown(two: Stand):
    two["n1"].on_execute = lambda conn, sent, args: conn.server.freeze() if sent == "INSERT" else None
    with pytest.raises(TransactionOutcomeUnknown, match="the time-out of 2 s passed") as caught:
        await two.run(write, timeout=2.0)
    assert now() == 2.0
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert two.driver.open == 0


async def test_a_cancel_in_commit_is_a_cancel_that_says_that_the_outcome_is_unknown(two: Stand):
    two["n1"].on_execute = lambda conn, sent, args: conn.server.freeze() if sent == "INSERT" else None
    task = asyncio.create_task(two.run(write))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.__notes__ == ["aioclustersql: COMMIT was under way on node n1: whether it was carried out is unknown"]
    assert two.pool.handed_out == ["n1"]
    assert two.driver.open == 0


async def test_the_event_names_the_node_and_the_cause(two: Stand):
    two["n1"].on_execute = fails("COMMIT", F.SESSION_LOST)
    with pytest.raises(TransactionOutcomeUnknown):
        await two.run(write)
    (event,) = two.events
    assert isinstance(event, events.OutcomeUnknown)
    assert (event.node, event.error.endswith("FakeError: session-lost")) == ("n1", True)
