"""What a time-out means, and connecting that goes on until one."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, ConfigError, ConnectTimeout
from aioclustersql.policy import backoff
from aioclustersql.testing import FakeDriver

from .conftest import Racing
from .tools import cluster_over, now, start


async def test_none_is_the_clusters_own_time(racing: Racing):
    cluster, _ = racing(("a", None, "silent"), connect_timeout=2)
    with pytest.raises(ConnectTimeout):
        await cluster.connect(timeout=None)
    assert now() == 2


async def test_the_clusters_own_time_is_ten_seconds_by_default(racing: Racing):
    cluster, _ = racing(("a", None, "silent"))
    with pytest.raises(ConnectTimeout):
        await cluster.connect()
    assert now() == 10


async def test_infinity_is_no_limit(racing: Racing):
    cluster, _ = racing(("a", 5_000, "ok"))
    await cluster.connect(timeout=math.inf)
    assert now() == 5_000


async def test_a_connect_timeout_of_infinity_is_no_limit(racing: Racing):
    cluster, _ = racing(("a", 5_000, "ok"), connect_timeout=math.inf)
    await cluster.connect()
    assert now() == 5_000


async def test_zero_fails_at_once_and_logs_in_nowhere(racing: Racing):
    cluster, driver = racing(("a", 0, "ok"))
    with pytest.raises(ConnectTimeout, match="none was tried"):
        await cluster.connect(timeout=0)
    assert (now(), driver.starts) == (0, [])


@pytest.mark.parametrize("wrong", [-1, -0.001, math.nan, -math.inf, "1", True])
async def test_what_is_no_time_is_refused_before_anything_runs(racing: Racing, wrong: Any):
    cluster, _ = racing(("a", 0, "ok"))
    with pytest.raises(ValueError, match="timeout is seconds, 0 or more"):
        cluster.connect(timeout=wrong)
    with pytest.raises(ValueError, match="timeout is seconds, 0 or more"):
        cluster.with_options(timeout=wrong)
    with pytest.raises(ValueError, match="connect_timeout is seconds, 0 or more"):
        cluster_over(FakeDriver("a"), connect_timeout=wrong)


async def test_a_connect_timeout_is_a_timeout_error(racing: Racing):
    cluster, _ = racing(("a", None, "silent"))
    with pytest.raises(TimeoutError):
        await cluster.connect(timeout=0.5)


async def test_the_callers_own_timeout_scope_works_around_a_connect(racing: Racing):
    cluster, _ = racing(("a", None, "silent"))
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.5):
            await cluster.connect()
    assert not isinstance(caught.value, ConnectTimeout)
    assert now() == 0.5


async def test_wait_races_again_until_a_node_is_back(racing: Racing):
    cluster, driver = racing(("a", 0, "refused"), ("b", 0, "refused"))
    waiting = start(cluster, wait=True, timeout=60)
    await asyncio.sleep(7)
    driver["b"].outcome = "ok"
    conn = await waiting
    assert conn.server.name == "b"
    assert now() <= 8.01


async def test_wait_pauses_for_half_a_second_at_most_between_its_races(racing: Racing):
    cluster, driver = racing(("a", 0, "overloaded"))
    with pytest.raises(ConnectTimeout):
        await cluster.connect(wait=True, timeout=60)
    times = [at for at, _ in driver.starts]
    pauses = [after - before for before, after in pairwise(times)]
    assert 120 < len(times) < 350
    assert max(pauses) <= backoff.MAX + 1e-6


async def test_wait_ends_exactly_at_its_time_and_says_what_the_last_race_met(racing: Racing):
    cluster, _ = racing(("a", 0, "refused"), ("b", 0, "overloaded"))
    with pytest.raises(ConnectTimeout, match=r"no connection within 3 s; the last try: every node failed") as caught:
        await cluster.connect(wait=True, timeout=3)
    assert now() == 3
    assert set(caught.value.errors) == {"a", "b"}
    assert isinstance(caught.value.__cause__, AllNodesFailed)


async def test_wait_raises_at_once_what_time_does_not_heal(racing: Racing):
    cluster, _ = racing(("a", 0.25, "wrong-password"), ("b", 0.25, "wrong-password"))
    with pytest.raises(AllNodesFailed):
        await cluster.connect(wait=True, timeout=60)
    assert now() == 0.25


async def test_wait_goes_on_while_one_node_may_come_back(racing: Racing):
    cluster, driver = racing(("a", 0.25, "wrong-password"), ("b", 0, "refused"))
    waiting = start(cluster, wait=True, timeout=60)
    await asyncio.sleep(3)
    driver["b"].outcome = "ok"
    assert (await waiting).server.name == "b"


async def test_wait_waits_for_a_node_to_be_added(racing: Racing):
    cluster, driver = racing()
    waiting = start(cluster, wait=True, timeout=60)
    await asyncio.sleep(3)
    driver.add("a")
    cluster.add_node("a", "fake://app@a/test")
    assert (await waiting).server.name == "a"


async def test_wait_without_any_node_ends_at_its_time(racing: Racing):
    cluster, _ = racing()
    with pytest.raises(ConnectTimeout, match="has no node"):
        await cluster.connect(wait=True, timeout=3)
    assert now() == 3


async def test_wait_is_over_at_once_when_the_first_race_is_won(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    await cluster.connect(wait=True)
    assert now() == 0.25


async def test_a_view_has_its_own_defaults(racing: Racing):
    cluster, _ = racing(("a", None, "silent"))
    patient = cluster.with_options(timeout=3, wait=True)
    with pytest.raises(ConnectTimeout):
        await patient.connect()
    assert now() == 3
    with pytest.raises(ConnectTimeout):
        await patient.with_options(timeout=1).connect()
    assert now() == 4
    with pytest.raises(ConnectTimeout):
        await patient.connect(timeout=0.5)
    assert now() == 4.5


async def test_a_view_says_what_it_is(racing: Racing):
    cluster, _ = racing()
    view = cluster.with_options(target="standby", timeout=2.5, wait=True)
    assert repr(view) == "<ClusterView target=standby, timeout=2.5, wait=True>"
    assert view.target == "standby"


async def test_a_view_with_a_misspelt_target_is_refused_at_once(racing: Racing):
    cluster, _ = racing()
    with pytest.raises(ConfigError, match="target 'standbye' is unknown; it is one of any, read-write, primary"):
        cluster.with_options(target="standbye")
