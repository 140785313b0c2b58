"""Cold races: nothing is known of any node, and all start at once."""

from __future__ import annotations

import asyncio
import logging

import pytest

from aioclustersql import AllNodesFailed, ConnectTimeout, NoNodeAvailable
from aioclustersql.node import Health
from aioclustersql.testing import FakeDriver

from .conftest import Racing
from .tools import cluster_over, now, start

pytestmark = pytest.mark.every_loop


async def test_the_first_to_answer_wins_in_exactly_its_own_time(racing: Racing):
    cluster, _ = racing(("slow", 0.5, "ok"), ("best", 0.125, "ok"), ("far", 2.0, "ok"))
    conn = await cluster.connect()
    assert (now(), conn.server.name) == (0.125, "best")


async def test_every_node_is_tried_at_once(racing: Racing):
    cluster, driver = racing(("a", 0.5, "ok"), ("b", 0.25, "ok"), ("c", None, "silent"))
    await cluster.connect()
    assert driver.starts == [(0.0, "a"), (0.0, "b"), (0.0, "c")]


async def test_those_that_open_later_are_closed_with_a_goodbye(racing: Racing):
    cluster, driver = racing(("a", 0.5, "ok"), ("b", 0.25, "ok"), ("c", 0.75, "ok"))
    conn = await cluster.connect()
    await asyncio.sleep(1)
    driver.assert_only_open(conn)
    assert [(line.time, line.server) for line in driver.trace if line.what == "goodbye"] == [(0.5, "a"), (0.75, "c")]
    assert driver.interrupted == 0


async def test_two_that_answer_in_the_same_moment_give_one_connection(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.25, "ok"))
    conn = await cluster.connect()
    await asyncio.sleep(1)
    driver.assert_only_open(conn)


async def test_logins_that_take_no_turn_of_the_loop_work_too(racing: Racing):
    cluster, driver = racing(("a", None, "ok"), ("b", None, "ok"))
    conn = await cluster.connect()
    await asyncio.sleep(0.25)
    driver.assert_only_open(conn)


@pytest.mark.parametrize("failing", ["refused", "reset", "wrong-password", "overloaded", "blocked", "starting", "not-ready"])
async def test_a_failure_is_masked_while_another_node_succeeds(racing: Racing, failing: str):
    cluster, _ = racing(("bad", 0, failing), ("worse", None, "silent"), ("good", 0.25, "ok"))  # type: ignore[arg-type]
    conn = await cluster.connect()
    assert (now(), conn.server.name) == (0.25, "good")


async def test_a_node_that_is_not_ready_never_wins_though_it_answers_first(racing: Racing):
    cluster, _ = racing(("early", 0, "not-ready"), ("late", 0.5, "ok"))
    conns = [await cluster.connect() for _ in range(10)]
    assert {conn.server.name for conn in conns} == {"late"}
    assert cluster.stats().nodes["early"].connections == 0


async def test_when_no_node_is_ready_the_error_names_each(racing: Racing):
    cluster, _ = racing(*((name, 0.25, "not-ready") for name in "abc"))
    with pytest.raises(AllNodesFailed) as caught:
        await cluster.connect()
    assert [f"{name}: FakeError: {name} is not ready to serve" in str(caught.value) for name in "abc"] == [True] * 3
    assert set(caught.value.errors) == set("abc")
    assert now() == 0.25


async def test_a_wrong_password_on_all_names_each(racing: Racing):
    cluster, _ = racing(*((name, 0.25, "wrong-password") for name in "abc"))
    with pytest.raises(AllNodesFailed, match=r"a: .*access denied on a.*; b: .*; c: .*access denied on c"):
        await cluster.connect()
    assert [node.health for node in cluster.stats().nodes.values()] == [Health.UP] * 3


async def test_the_cause_of_a_failure_of_all_is_the_group_of_the_nodes_errors(racing: Racing):
    cluster, _ = racing(("a", 0, "refused"), ("b", 0.25, "overloaded"))
    with pytest.raises(AllNodesFailed) as caught:
        await cluster.connect()
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert group.exceptions == tuple(caught.value.errors.values())


async def test_a_refused_connection_is_known_at_once(racing: Racing):
    cluster, _ = racing(("a", 0, "refused"), ("b", 0, "refused"))
    with pytest.raises(AllNodesFailed):
        await cluster.connect()
    assert now() == 0


async def test_when_all_are_silent_the_timeout_is_exact_and_says_what_each_was_doing(racing: Racing):
    cluster, _ = racing(*((name, None, "silent") for name in "abc"))
    with pytest.raises(ConnectTimeout) as caught:
        await cluster.connect(timeout=1)
    assert now() == 1
    doing = "; ".join(f"{name}: logging in for 1 s, no answer" for name in "abc")
    assert str(caught.value) == f"no connection within 1 s (target read-write): {doing}"


async def test_one_silent_and_two_refusing_is_a_timeout_with_both_causes(racing: Racing):
    cluster, _ = racing(("a", 0, "refused"), ("b", None, "silent"), ("c", 0.25, "refused"))
    with pytest.raises(ConnectTimeout) as caught:
        await cluster.connect(timeout=1)
    assert now() == 1
    assert "a: ConnectionRefusedError: [Errno 111] Connect call failed (a)" in str(caught.value)
    assert "b: logging in for 1 s, no answer" in str(caught.value)
    assert set(caught.value.errors) == {"a", "c"}


async def test_a_node_that_hangs_while_being_validated_is_reported_so(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    driver["a"].validate_delay = 60
    with pytest.raises(ConnectTimeout, match=r"a: being validated for 1 s, no answer"):
        await cluster.connect(timeout=1)


async def test_without_a_node_there_is_none_available():
    with pytest.raises(NoNodeAvailable, match="cluster 'shop' has no node; register one with add_node"):
        await cluster_over(FakeDriver(), {}, name="shop").connect()


async def test_a_name_that_does_not_exist_is_the_nodes_failure(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    cluster.add_node("b", "fake://app@nowhere/test")
    assert (await cluster.connect()).server.name == "a"
    assert "Name or service not known" in (cluster.stats().nodes["b"].last_error_message or "")


async def test_masked_failures_are_not_logged_as_errors(racing: Racing, caplog: pytest.LogCaptureFixture):
    cluster, _ = racing(("a", 0, "refused"), ("b", 0.25, "ok"))
    caplog.set_level(logging.DEBUG)
    await cluster.connect()
    assert [record.levelname for record in caplog.records if record.name.startswith("aioclustersql")] == ["WARNING"]
    assert "cluster cluster: node a: up -> down: ConnectionRefusedError" in caplog.text


async def test_a_caller_whose_time_is_shorter_than_a_login_gets_a_timeout_and_the_login_ends_by_itself(racing: Racing):
    cluster, driver = racing(("a", 0.5, "ok"))
    with pytest.raises(ConnectTimeout):
        await cluster.connect(timeout=0.25)
    assert now() == 0.25
    await asyncio.sleep(0.5)
    assert (driver["a"].goodbyes, driver.interrupted, driver.open) == (1, 0, 0)


async def test_many_callers_at_once_each_get_a_connection_of_their_own(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.25, "ok"))
    conns = await asyncio.gather(*(start(cluster) for _ in range(20)))
    assert len({conn.id for conn in conns}) == 20
    await asyncio.sleep(1)
    driver.assert_only_open(*conns)
