"""`run`: each line of the table of failures, seen from the caller. What a COMMIT does is in test_run_commit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aioclustersql import events
from aioclustersql.errors import AcquireTimeout, ClusterError, ConfigError, TransactionOutcomeUnknown
from aioclustersql.failure import FailureKind as F
from aioclustersql.node import Role, Target
from aioclustersql.testing import FakeConnection, FakeError

from .leases import Stand, fails
from .tools import now


async def write(conn: FakeConnection, *values: object) -> object:
    """A unit of work of one statement."""
    await conn.execute("INSERT")
    return values or conn.server.name


async def test_a_unit_runs_between_begin_and_commit(two: Stand):
    assert await two.run(write, 1, "two") == (1, "two")
    assert two.statements() == {"n1": ["BEGIN", "INSERT", "COMMIT"]}
    assert two.pool.reports == []
    assert [type(event) for event in two.events] == []


async def test_the_result_may_be_anything(two: Stand):
    async def nothing(conn: FakeConnection) -> None:
        """Says nothing and returns nothing."""

    assert await two.run(nothing) is None


@pytest.mark.parametrize("kind", [F.UNREACHABLE, F.NOT_READY, F.SESSION_LOST, F.OUTCOME_UNKNOWN, F.FOUND_CLOSED, F.ROLE_CHANGED])
async def test_a_node_that_fails_in_mid_unit_is_replaced_at_once(two: Stand, kind: F):
    two["n1"].on_execute = fails("INSERT", kind)
    assert await two.run(write) == "n2"
    assert now() == 0.0
    assert two.pool.reports == [("n1", kind)]


async def test_a_node_that_dies_in_mid_unit_is_replaced_at_once(two: Stand):
    two["n1"].on_execute = fails("INSERT", F.SESSION_LOST, then=lambda conn: conn.server.kill())
    assert await two.run(write) == "n2"
    assert now() == 0.0


@pytest.mark.parametrize("kind", [F.UNREACHABLE, F.NOT_READY, F.SESSION_LOST, F.OVERLOADED, F.TIMEOUT])
async def test_a_node_that_cannot_begin_is_replaced_and_costs_no_run(two: Stand, kind: F):
    two["n1"].on_execute = fails("BEGIN", kind)
    assert await two.run(write, attempts=1) == "n2"
    assert now() == 0.0


@pytest.mark.parametrize("kind", [F.FOUND_CLOSED, F.IDLE_CLOSED])
async def test_dead_connections_are_replaced_at_once_however_many(two: Stand, kind: F):
    two["n1"].on_execute = fails("BEGIN", *[kind] * 20)
    assert await two.run(write, attempts=1) == "n1"
    assert now() == 0.0
    assert two.pool.handed_out == ["n1"] * 21


async def test_when_every_node_has_failed_the_round_begins_anew(two: Stand):
    for server in two.driver:
        server.on_execute = fails("BEGIN", F.NOT_READY, F.NOT_READY)
    await two.run(write)
    assert two.pool.handed_out == ["n1", "n2", "n1", "n2", "n1"]


async def test_a_standby_refuses_the_begin_and_the_primary_takes_it(two: Stand):
    two["n1"].role = Role.STANDBY
    assert await two.run(write) == "n2"
    assert two.statements() == {"n1": ["BEGIN"], "n2": ["BEGIN", "INSERT", "COMMIT"]}


@pytest.mark.parametrize("target", [Target.STANDBY, Target.PREFER_STANDBY, Target.READ_ONLY])
async def test_a_target_that_a_standby_serves_makes_it_read_only(two: Stand, target: Target):
    two["n1"].role = Role.STANDBY
    assert await two.run(write, target=target) == "n1"
    assert two["n1"].statements[0] == "BEGIN READ ONLY"


async def test_a_write_in_a_read_only_unit_is_surfaced(two: Stand):
    two["n1"].on_execute = fails("INSERT", F.ROLE_CHANGED)
    with pytest.raises(FakeError, match="role-changed"):
        await two.run(write, readonly=True)
    assert two.pool.handed_out == ["n1"]


async def test_options_reach_the_begin(two: Stand):
    await two.run(write, isolation="Repeatable_Read", readonly=True, deferrable=True)
    assert two["n1"].statements[0] == "BEGIN ISOLATION LEVEL REPEATABLE READ DEFERRABLE READ ONLY"


async def test_an_isolation_that_does_not_exist_is_refused_before_anything_is_sent(two: Stand):
    with pytest.raises(ConfigError, match="isolation 'snapshotty' is unknown"):
        await two.run(write, isolation="snapshotty")
    assert two.driver.trace == []


@pytest.mark.parametrize("attempts", [0, -1, True, 1.5])
async def test_a_senseless_number_of_attempts_is_refused(two: Stand, attempts: Any):
    with pytest.raises(ValueError, match="attempts is a number of runs, 1 or more"):
        await two.run(write, attempts=attempts)


@pytest.mark.parametrize("kind", [F.ROLLED_BACK, F.TRANSACTION_ENDED, F.IDLE_CLOSED])
async def test_what_was_rolled_back_runs_again_after_a_pause(two: Stand, kind: F):
    two["n1"].on_execute = fails("INSERT", kind)
    assert await two.run(write) == "n1"
    assert now() == 0.025


async def test_a_lock_time_out_is_rolled_back_before_the_next_run(two: Stand):
    two["n1"].on_execute = fails("INSERT", F.LOCK_TIMEOUT)
    assert await two.run(write) == "n1"
    assert two["n1"].statements == ["BEGIN", "INSERT", "ROLLBACK", "BEGIN", "INSERT", "COMMIT"]


async def test_a_stale_plan_runs_again_on_the_same_connection(two: Stand):
    used: list[int] = []

    async def unit(conn: FakeConnection) -> None:
        used.append(conn.id)
        await conn.execute("SELECT")

    two["n1"].on_execute = fails("SELECT", F.STALE_PLAN)
    await two.run(unit)
    assert used == [1, 1]
    assert two.pool.handed_out == ["n1"]
    assert now() == 0.0


async def test_a_stale_plan_that_stays_stale_is_surfaced_after_all_attempts(two: Stand):
    two["n1"].on_execute = fails("INSERT", *[F.STALE_PLAN] * 9)
    with pytest.raises(FakeError, match="stale-plan"):
        await two.run(write, attempts=3)
    assert two["n1"].statements.count("INSERT") == 3


@pytest.mark.parametrize("kind", [F.INTERRUPTED, F.OTHER, F.CONFIGURATION, F.TIMEOUT])
async def test_what_no_retry_heals_is_rolled_back_and_surfaced(two: Stand, kind: F):
    error = FakeError(kind)
    two["n1"].on_execute = fails("INSERT", error)
    with pytest.raises(FakeError) as caught:
        await two.run(write)
    assert caught.value is error
    assert two.statements() == {"n1": ["BEGIN", "INSERT", "ROLLBACK"]}


async def test_the_units_own_exception_is_rolled_back_and_surfaced_without_a_word(two: Stand):
    async def unit(conn: FakeConnection) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as caught:
        await two.run(unit)
    assert not hasattr(caught.value, "__notes__")
    assert two.statements() == {"n1": ["BEGIN", "ROLLBACK"]}


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(104, "reset"), TransactionOutcomeUnknown("elsewhere")])
async def test_an_error_of_another_socket_or_call_says_nothing_about_the_node(two: Stand, error: Exception):
    async def unit(conn: FakeConnection) -> None:
        raise error

    with pytest.raises(type(error)):
        await two.run(unit)
    assert two.pool.reports == []
    assert two.pool.handed_out == ["n1"]


async def test_a_reset_of_our_own_connection_runs_again(two: Stand):
    async def unit(conn: FakeConnection) -> object:
        if conn.server.name == "n1":
            conn.server.kill()
            raise ConnectionResetError(104, "reset")
        return conn.server.name

    assert await two.run(unit) == "n2"


@pytest.mark.parametrize("kind", [F.ROLLED_BACK, F.SESSION_LOST])
async def test_after_an_implicit_commit_nothing_runs_again(two: Stand, kind: F):
    async def unit(conn: FakeConnection) -> None:
        await conn.execute("ALTER TABLE")
        conn.in_transaction = False
        await conn.execute("INSERT")

    two["n1"].on_execute = fails("INSERT", kind)
    with pytest.raises(TransactionOutcomeUnknown, match=r"on node n1: the transaction had ended .* implicit commit") as caught:
        await two.run(unit)
    assert (caught.value.node, caught.value.sqlstate) == ("n1", "08007")
    assert isinstance(caught.value.__cause__, FakeError)
    assert two["n1"].statements.count("INSERT") == 1


async def test_after_an_implicit_commit_and_a_lost_connection_nothing_runs_again(two: Stand):
    async def unit(conn: FakeConnection) -> None:
        await conn.execute("ALTER TABLE")
        conn.in_transaction = False
        conn.server.kill()
        await conn.execute("INSERT")

    with pytest.raises(TransactionOutcomeUnknown, match="implicit commit"):
        await two.run(unit)


async def test_a_unit_that_ends_well_outside_of_its_transaction_is_not_called_a_success(two: Stand):
    async def unit(conn: FakeConnection) -> None:
        await conn.execute("COMMIT")

    with pytest.raises(TransactionOutcomeUnknown, match="a COMMIT or ROLLBACK of its own"):
        await two.run(unit)
    assert two["n1"].statements == ["BEGIN", "COMMIT"]


async def test_the_units_own_exception_after_an_implicit_commit_says_that_it_is_not_all_undone(two: Stand):
    async def unit(conn: FakeConnection) -> None:
        conn.in_transaction = False
        raise LookupError("mine")

    with pytest.raises(LookupError) as caught:
        await two.run(unit)
    assert any("parts of it may be committed" in note for note in caught.value.__notes__)


async def test_idempotent_allows_another_run_after_an_implicit_commit(two: Stand):
    async def unit(conn: FakeConnection) -> object:
        if conn.server.name == "n1":
            conn.in_transaction = False
        return await write(conn)

    two["n1"].on_execute = fails("INSERT", F.SESSION_LOST)
    assert await two.run(unit, idempotent=True) == "n2"


async def test_attempts_bound_the_runs_and_the_error_tells_the_story(two: Stand):
    errors = [FakeError(F.ROLLED_BACK, f"conflict {n}") for n in range(3)]
    two["n1"].on_execute = fails("INSERT", *errors)
    with pytest.raises(FakeError, match="conflict 2") as caught:
        await two.run(write, attempts=3)
    assert caught.value is errors[2]
    assert caught.value.__notes__ == [
        "node n1",
        "aioclustersql: run 3 of at most 3, 0.075 s after the call: on node n1; attempts=3 allows no further run",
        "aioclustersql: before, 0 s after the call, run 1 on node n1, in the unit: FakeError: conflict 0",
        "aioclustersql: before, 0.025 s after the call, run 2 on node n1, in the unit: FakeError: conflict 1",
    ]


async def test_an_empty_budget_surfaces_the_error_with_a_note(two: Stand):
    two.runner.budget.tokens = -1.0
    two["n1"].on_execute = fails("INSERT", F.ROLLED_BACK)
    with pytest.raises(FakeError, match="rolled-back") as caught:
        await two.run(write)
    assert "the retry budget is spent" in caught.value.__notes__[1]


async def test_a_retry_is_an_event(two: Stand):
    two["n1"].on_execute = fails("INSERT", F.ROLLED_BACK)
    await two.run(write)
    (event,) = two.events
    assert isinstance(event, events.RunRetried)
    assert (event.node, event.run, event.error, event.pause) == ("n1", 1, "FakeError: rolled-back", 0.025)


async def test_when_no_node_serves_the_unit_waits_for_one(two: Stand):
    two.driver["n1"].kill()
    two.driver["n2"].kill()
    asyncio.get_running_loop().call_at(10.0, two.driver["n2"].restart)
    assert await two.run(write, timeout=30.0) == "n2"
    assert now() == 10.0


async def test_when_no_node_serves_until_the_deadline_the_history_is_told(two: Stand):
    def die(conn: FakeConnection) -> None:
        two.driver["n1"].kill()
        two.driver["n2"].kill()

    two["n1"].on_execute = fails("INSERT", F.SESSION_LOST, then=die)
    with pytest.raises(AcquireTimeout) as caught:
        await two.run(write, timeout=2.0)
    assert now() == 2.0
    assert caught.value.__notes__ == [
        "aioclustersql: run 1 of at most 5, 2 s after the call: no connection for a further attempt",
        "aioclustersql: before, 0 s after the call, run 1 on node n1, in the unit: FakeError: session-lost",
    ]


async def test_concurrent_units_share_nothing_but_the_budget(two: Stand):
    two.runner.budget.tokens = 100.0
    two["n1"].on_execute = fails("INSERT", F.ROLLED_BACK, F.ROLLED_BACK)
    assert await asyncio.gather(*(two.run(write, n) for n in range(5))) == [(n,) for n in range(5)]
    assert two.runner.budget.tokens == 100.0 + 5 - 2


def test_outcome_unknown_is_a_cluster_error():
    assert issubclass(TransactionOutcomeUnknown, ClusterError)
