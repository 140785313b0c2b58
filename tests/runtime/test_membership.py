"""Nodes come, change and go while connects run."""

from __future__ import annotations

import asyncio

import pytest

from aioclustersql import AllNodesFailed, ConfigError, NoNodeAvailable, UnknownNode
from aioclustersql.node import Health, Node
from aioclustersql.testing import FakeDriver

from .conftest import Racing
from .tools import cluster_over, learn, now, start


async def test_the_names_are_sorted(racing: Racing):
    cluster, _ = racing(("c", 0, "ok"), ("a", 0, "ok"), ("b", 0, "ok"))
    assert cluster.nodes == ("a", "b", "c")


@pytest.mark.every_loop
async def test_a_node_removed_in_mid_race_does_not_win(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"), ("b", 0.5, "ok"))
    connecting = start(cluster)
    await asyncio.sleep(0.125)
    cluster.remove_node("a")
    conn = await connecting
    assert (conn.server.name, now()) == ("b", 0.5)
    await asyncio.sleep(1)
    assert (driver["a"].goodbyes, driver["a"].interrupted) == (1, 0)


@pytest.mark.every_loop
async def test_when_all_are_removed_in_mid_race_the_error_says_so(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    connecting = start(cluster)
    await asyncio.sleep(0.125)
    cluster.remove_node("a")
    with pytest.raises(AllNodesFailed, match="LoginAbandoned: the node was removed"):
        await connecting
    with pytest.raises(NoNodeAvailable):
        await cluster.connect()


async def test_a_node_removed_and_added_again_in_mid_race_does_not_win_by_its_old_login(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.5, "ok"))
    connecting = start(cluster)
    await asyncio.sleep(0.125)
    cluster.remove_node("a")
    cluster.add_node("a", "fake://app@a/test")
    assert (await connecting).server.name == "b"


async def test_a_removed_node_gets_no_more_logins(racing: Racing):
    cluster, driver = racing(("a", 0.005, "ok"), ("b", 0.005, "ok"))
    await learn(cluster, driver)
    cluster.remove_node("a")
    for _ in range(50):
        driver.terminate(await cluster.connect())
    assert {name for _, name in driver.starts} == {"b"}


async def test_connections_handed_out_survive_the_removal_of_their_node(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    conn = await cluster.connect()
    cluster.remove_node("a")
    await asyncio.sleep(1)
    assert not conn.closed
    driver.terminate(conn)


async def test_an_added_node_takes_part_from_the_next_connect_on(racing: Racing):
    cluster, driver = racing(("a", 0, "refused"))
    driver.add("b")
    with pytest.raises(AllNodesFailed):
        await cluster.connect()
    cluster.add_node("b", "fake://app@b/test")
    assert (await cluster.connect()).server.name == "b"


async def test_adding_a_name_twice_is_an_error(racing: Racing):
    cluster, _ = racing(("a", 0, "ok"))
    with pytest.raises(ConfigError, match="already has a node 'a'; change it with update_node"):
        cluster.add_node("a", "fake://app@b/test")
    assert cluster.nodes == ("a",)


@pytest.mark.parametrize("call", ["remove_node", "update_node"])
async def test_an_unknown_name_is_a_lookup_error_that_lists_the_known(racing: Racing, call: str):
    cluster, _ = racing(("a", 0, "ok"), ("b", 0, "ok"))
    with pytest.raises(UnknownNode, match="has no node 'c'; registered: a, b") as caught:
        getattr(cluster, call)("c")
    assert isinstance(caught.value, LookupError)


async def test_adding_again_starts_afresh(racing: Racing):
    cluster, _ = racing(("a", 0, "refused"), ("b", 0.25, "ok"))
    await cluster.connect()
    assert cluster.stats().nodes["a"].health is Health.DOWN
    cluster.remove_node("a")
    cluster.add_node("a", "fake://app@a/test")
    node = cluster.stats().nodes["a"]
    assert (node.health, node.logins, node.errors, node.last_error_message, node.latency) == (Health.UP, 0, 0, None, None)


async def test_an_update_with_another_address_starts_afresh(racing: Racing):
    cluster, driver = racing(("a", 0, "refused"), ("b", 0.25, "ok"))
    await cluster.connect()
    driver.add("a2").delay = 0.125
    cluster.update_node("a", "fake://app@a2/test")
    node = cluster.stats().nodes["a"]
    assert (node.health, node.address, node.latency) == (Health.UP, "a2", None)


async def test_an_update_of_the_weight_keeps_what_is_known(racing: Racing):
    cluster, _ = racing(("a", 0, "refused"), ("b", 0.25, "ok"))
    await cluster.connect()
    cluster.update_node("a", weight=2.0)
    node = cluster.stats().nodes["a"]
    assert (node.health, node.weight, node.address) == (Health.DOWN, 2.0, "a")


async def test_an_update_is_for_future_logins(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    connecting = start(cluster)
    await asyncio.sleep(0.125)
    cluster.update_node("a", connect_options={"charset": "utf8"})
    assert "charset" not in (await connecting).options
    assert (await cluster.connect()).options["charset"] == "utf8"


async def test_an_update_keeps_what_it_leaves_out(racing: Racing):
    cluster, _ = racing()
    cluster.add_node("a", "fake://app@a/test", weight=3.0, connect_options={"charset": "utf8"})
    cluster.update_node("a", "fake://app@b/test")
    assert cluster.stats().nodes["a"].weight == 3.0


async def test_a_wrong_update_changes_nothing(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    for dsn, weight, options in (("nonsense", 2.0, {}), (None, -1.0, {}), (None, 2.0, {"chraset": "utf8"})):
        with pytest.raises(ConfigError):
            cluster.update_node("a", dsn, weight=weight, connect_options=options)
    node = cluster.stats().nodes["a"]
    assert (node.weight, node.address) == (1.0, "a")
    await cluster.connect()


async def test_the_failure_of_a_login_on_the_old_address_says_nothing_of_the_new_one(racing: Racing):
    cluster, driver = racing(("a", 0.25, "refused"))
    driver.add("a2")
    connecting = start(cluster)
    await asyncio.sleep(0.125)
    cluster.update_node("a", "fake://app@a2/test")
    with pytest.raises(AllNodesFailed):
        await connecting
    assert cluster.stats().nodes["a"].health is Health.UP


async def test_the_time_of_a_login_on_the_old_address_says_nothing_of_the_new_one(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    connecting = start(cluster)
    await asyncio.sleep(0.125)
    cluster.update_node("a", "fake://app@a2/test")
    driver.terminate(await connecting)
    assert cluster.stats().nodes["a"].latency is None


@pytest.mark.parametrize("weight", [0, -1, float("inf"), float("nan")])
async def test_a_weight_is_a_positive_number(racing: Racing, weight: float):
    cluster, _ = racing()
    with pytest.raises(ConfigError, match="weight is a number above 0"):
        cluster.add_node("a", "fake://app@a/test", weight=weight)


async def test_the_node_of_a_connection_is_known(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.125, "ok"))
    conn = await cluster.connect()
    assert cluster.node_of(conn) == "b"


async def test_a_proxy_with_a_driver_connection_is_looked_through(racing: Racing):
    class Proxy:
        def __init__(self, driver_connection: object) -> None:
            self.driver_connection = driver_connection

    cluster, _ = racing(("a", 0.25, "ok"))
    assert cluster.node_of(Proxy(await cluster.connect())) == "a"


async def test_a_stranger_is_of_no_node(racing: Racing):
    cluster, driver = racing(("a", 0.25, "ok"))
    stranger = await cluster_over(driver).connect()
    for conn in (stranger, object(), None):
        with pytest.raises(LookupError, match="did not open this connection"):
            cluster.node_of(conn)
    driver.terminate(stranger)


async def test_nodes_may_come_and_go_in_every_step_of_many_races(racing: Racing):
    cluster, driver = racing(*((name, 0.005, "ok") for name in "abcdef"))
    connecting = [start(cluster) for _ in range(100)]
    for turn in range(200):
        name = "bcdef"[turn % 5]
        if name in cluster.nodes:
            cluster.remove_node(name)
        else:
            cluster.add_node(name, f"fake://app@{name}/test")
        connecting.append(start(cluster))
        await asyncio.sleep(0.001)
    conns = await asyncio.gather(*connecting)
    await asyncio.sleep(2)
    driver.assert_only_open(*conns)
    for conn in conns:
        driver.terminate(conn)


def test_nodes_may_be_given_as_values():
    driver = FakeDriver("a", "b")
    cluster = cluster_over(driver, {})
    assert cluster.nodes == ()
    nodes = [Node("b", "fake://app@b/test", weight=2.0), Node("a", "fake://app@a/test")]
    assert type(cluster)(nodes, driver=driver).nodes == ("a", "b")


async def test_the_node_that_is_left_is_tried_when_the_one_under_way_is_removed(racing: Racing):
    cluster, driver = racing(("a", 0.005, "ok"), ("b", 0.005, "ok"))
    await learn(cluster, driver)
    driver["a"].delay = driver["b"].delay = 0.008
    connecting = start(cluster)
    await asyncio.sleep(0.001)
    ((_, first),) = driver.starts
    cluster.remove_node(first)
    assert (await connecting).server.name == {"a": "b", "b": "a"}[first]
