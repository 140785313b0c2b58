"""`transaction`: a block between BEGIN and COMMIT or ROLLBACK, on a lease or on the caller's connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from aioclustersql.errors import AcquireTimeout, ConfigError, TransactionOutcomeUnknown
from aioclustersql.failure import FailureKind as F
from aioclustersql.node import Role, Target
from aioclustersql.testing import FakeConnection, FakeError
from tests.cancel_sweep import Scenario, sweep

from .leases import Stand, fails, stand
from .tools import names_of, now


@pytest.fixture
async def own(two: Stand) -> AsyncIterator[FakeConnection]:
    """A connection to n1 of the caller's own."""
    conn = await two.driver.connect(two.driver.parse("fake://app@n1/test", {}), None)
    yield conn
    two.driver.terminate(conn)


async def test_a_block_is_committed(two: Stand):
    async with two.transaction() as conn:
        assert isinstance(conn, FakeConnection)
        await conn.execute("INSERT")
    assert two.statements() == {"n1": ["BEGIN", "INSERT", "COMMIT"]}
    assert [lease.conn for lease in two.pool.idle] == [conn]


async def test_a_block_that_raises_is_rolled_back(two: Stand):
    with pytest.raises(LookupError) as caught:
        async with two.transaction():
            raise LookupError("mine")
    assert not hasattr(caught.value, "__notes__")
    assert two.statements() == {"n1": ["BEGIN", "ROLLBACK"]}


async def test_a_block_is_never_run_again(two: Stand):
    two["n1"].on_execute = fails("INSERT", F.ROLLED_BACK)
    with pytest.raises(FakeError, match="rolled-back") as caught:
        async with two.transaction() as conn:
            await conn.execute("INSERT")
    assert caught.value.__notes__ == ["node n1"]
    assert two.pool.reports == [("n1", F.ROLLED_BACK)]


async def test_a_node_that_cannot_begin_is_replaced(two: Stand):
    two["n1"].on_execute = fails("BEGIN", F.NOT_READY)
    async with two.transaction() as conn:
        assert conn.server.name == "n2"


async def test_begin_is_tried_until_the_deadline(two: Stand):
    two["n1"].role = two["n2"].role = Role.STANDBY
    asyncio.get_running_loop().call_at(3.0, lambda: setattr(two["n2"], "role", Role.PRIMARY))
    async with two.transaction(timeout=5.0) as conn:
        assert conn.server.name == "n2"
        assert 3.0 <= now() <= 3.2


async def test_the_deadline_ends_a_begin_that_hangs(two: Stand):
    async with two.transaction():
        pass
    two.driver["n1"].freeze()
    with pytest.raises(AcquireTimeout, match="while node n1 was asked to BEGIN"):
        async with two.transaction(timeout=2.0):
            pass
    assert now() == 2.0


async def test_the_deadline_is_over_once_the_block_has_begun(two: Stand):
    async with two.transaction(timeout=2.0):
        await asyncio.sleep(10)
    assert two["n1"].statements == ["BEGIN", "COMMIT"]


async def test_a_time_out_of_zero_takes_what_is_at_hand_and_gives_the_begin_a_second(two: Stand):
    two.driver["n1"].query_delay = 0.5
    async with two.transaction(timeout=0.0):
        assert now() == 0.5


@pytest.mark.parametrize("target", [Target.STANDBY, Target.PREFER_STANDBY, Target.READ_ONLY])
async def test_a_target_that_a_standby_serves_makes_it_read_only(two: Stand, target: Target):
    async with two.transaction(target=target):
        pass
    assert two["n1"].statements[0] == "BEGIN READ ONLY"


@pytest.mark.parametrize("kind", [F.SESSION_LOST, F.NOT_READY, F.OUTCOME_UNKNOWN, F.INTERRUPTED])
async def test_a_commit_without_a_clear_answer_is_unknown(two: Stand, kind: F):
    error = FakeError(kind)
    two["n1"].on_execute = fails("COMMIT", error)
    with pytest.raises(TransactionOutcomeUnknown, match=f"on node n1: COMMIT was sent and may or may not .*{kind}") as caught:
        async with two.transaction():
            pass
    assert caught.value.__cause__ is error
    assert caught.value.node == "n1"
    assert names_of(two.events) == ["OutcomeUnknown"]
    assert two.driver.open == 0


@pytest.mark.parametrize("kind", [F.ROLLED_BACK, F.ROLE_CHANGED, F.OTHER])
async def test_a_commit_that_was_rolled_back_surfaces_the_drivers_error(two: Stand, kind: F):
    error = FakeError(kind)
    two["n1"].on_execute = fails("COMMIT", error)
    with pytest.raises(FakeError) as caught:
        async with two.transaction():
            pass
    assert caught.value is error


async def test_a_block_that_ended_its_transaction_itself_is_not_called_a_success(two: Stand):
    with pytest.raises(TransactionOutcomeUnknown, match="implicit commit"):
        async with two.transaction() as conn:
            conn.in_transaction = False
    assert two["n1"].statements == ["BEGIN"]


async def test_an_exception_after_an_implicit_commit_says_that_it_is_not_all_undone(two: Stand):
    with pytest.raises(LookupError) as caught:
        async with two.transaction() as conn:
            conn.in_transaction = False
            raise LookupError("mine")
    assert "parts of it may be committed" in caught.value.__notes__[0]


async def test_a_rollback_that_hangs_closes_the_connection_after_a_second(two: Stand):
    with pytest.raises(LookupError):
        async with two.transaction():
            two.driver["n1"].freeze()
            raise LookupError("mine")
    assert now() == 1.0
    assert two.driver.open == 0


async def test_a_rollback_that_fails_closes_the_connection(two: Stand):
    two["n1"].on_execute = fails("ROLLBACK", F.OTHER)
    with pytest.raises(LookupError):
        async with two.transaction():
            raise LookupError("mine")
    assert two.driver.open == 0


async def test_a_cancelled_block_is_rolled_back(two: Stand):
    async def block() -> None:
        async with two.transaction():
            await asyncio.sleep(1000)

    task = asyncio.create_task(block())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert two["n1"].statements == ["BEGIN", "ROLLBACK"]


async def test_a_cancel_in_commit_says_that_the_outcome_is_unknown(two: Stand):
    async def block() -> None:
        async with two.transaction():
            two.driver["n1"].freeze()

    task = asyncio.create_task(block())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert "whether it was carried out is unknown" in caught.value.__notes__[0]
    assert two.driver.open == 0


async def test_it_is_used_once(two: Stand):
    once = two.transaction()
    assert repr(once) == "<transaction, not entered>"
    async with once:
        assert repr(once) == "<transaction, begun>"
    assert repr(once) == "<transaction, over>"
    with pytest.raises(RuntimeError, match="was used already"):
        async with once:
            pass


# -- on the caller's own connection ----------------------------------------------------------------------------------------


async def test_on_a_given_connection_it_begins_and_the_connection_stays_the_callers(two: Stand, own: FakeConnection):
    async with two.transaction(own) as conn:
        assert conn is own
    assert two["n1"].statements == ["BEGIN", "COMMIT"]
    assert not own.closed
    assert two.pool.handed_out == []


async def test_in_an_open_transaction_it_sets_a_savepoint(two: Stand):
    async with two.transaction() as conn, two.transaction(conn):
        await conn.execute("INSERT")
    assert two["n1"].statements == ["BEGIN", "SAVEPOINT s1", "INSERT", "RELEASE SAVEPOINT s1", "COMMIT"]


async def test_a_savepoint_that_raises_is_undone_and_the_rest_is_committed(two: Stand):
    async with two.transaction() as conn:
        with pytest.raises(LookupError):
            async with two.transaction(conn):
                raise LookupError("mine")
    assert two["n1"].statements == ["BEGIN", "SAVEPOINT s1", "ROLLBACK TO SAVEPOINT s1", "COMMIT"]


async def test_a_savepoint_takes_no_options(two: Stand):
    async with two.transaction() as conn:
        with pytest.raises(ConfigError, match="the outer transaction's"):
            async with two.transaction(conn, isolation="serializable"):
                pass
    assert two["n1"].statements == ["BEGIN", "COMMIT"]


async def test_a_savepoint_lost_with_its_connection_is_no_unknown_commit(two: Stand):
    two["n1"].on_execute = fails("RELEASE", F.SESSION_LOST, then=lambda conn: conn.server.kill())
    with pytest.raises(FakeError, match="session-lost"):
        async with two.transaction() as conn, two.transaction(conn):
            pass


async def test_a_savepoint_inside_a_unit_lets_run_run_it_again(two: Stand):
    async def unit(conn: FakeConnection) -> str:
        async with two.transaction(conn):
            await conn.execute("INSERT")
        return conn.server.name

    two["n1"].on_execute = fails("INSERT", F.SESSION_LOST, then=lambda conn: conn.server.kill())
    assert await two.run(unit) == "n2"


async def test_on_a_given_connection_an_unknown_commit_closes_it(two: Stand, own: FakeConnection):
    two["n1"].on_execute = fails("COMMIT", F.INTERRUPTED)
    with pytest.raises(TransactionOutcomeUnknown):
        async with two.transaction(own):
            pass
    assert own.closed


async def test_on_a_given_connection_a_failing_begin_is_surfaced(two: Stand, own: FakeConnection):
    two["n1"].on_execute = fails("BEGIN", F.NOT_READY)
    with pytest.raises(FakeError, match="not-ready"):
        async with two.transaction(own):
            pass
    assert two.pool.handed_out == []


# -- cancelled anywhere ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancels", [1, 3])
@pytest.mark.parametrize("failing", [None, "BEGIN", "INSERT", "COMMIT"])
def test_cancelled_anywhere_a_transaction_leaves_nothing(failing: str | None, cancels: int):
    async def make() -> Scenario:
        made = stand("n1", "n2")
        for server in made.driver:
            server.delay = server.query_delay = 0.0
        if failing is not None:
            made["n1"].on_execute = fails(failing, F.ROLLED_BACK)

        async def block() -> None:
            try:
                async with made.transaction() as conn, made.transaction(conn):
                    await conn.execute("INSERT")
            except FakeError:
                pass

        return Scenario(block, made.driver, made.pool.close)

    assert sweep(make, cancels=cancels) > 4
