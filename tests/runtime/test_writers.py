"""With `writers=N` so many Galera nodes take the writes: who is elected, who takes over, and what the others are then."""

from __future__ import annotations

import logging

import pytest

from aioclustersql import AllNodesFailed, Cluster, ConfigError
from aioclustersql.node import Role
from aioclustersql.testing import Row

from .conftest import Racing
from .monitoring import Diary, nodes_of, until
from .tools import FakeCluster

THREE: tuple[Row, ...] = (("a", 0, "ok"), ("b", 0, "ok"), ("c", 0, "ok"))


def writers(cluster: FakeCluster) -> set[str]:
    return {name for name, node in cluster.stats().nodes.items() if node.writer}


async def test_by_default_every_peer_takes_writes(racing: Racing):
    cluster, _ = racing(*THREE)
    async with cluster:
        await until(0.5)
        assert await nodes_of(cluster) == {"a", "b", "c"}
        assert {node.writer for node in cluster.stats().nodes.values()} == {None}


async def test_with_one_writer_all_writes_go_to_the_first_by_name(racing: Racing):
    cluster, _ = racing(*reversed(THREE), writers=1)
    async with cluster:
        assert await nodes_of(cluster) == {"a"}
        await until(1.5)
        assert await nodes_of(cluster) == {"a"}
        assert writers(cluster) == {"a"}


async def test_the_peers_beside_the_writer_are_standbys(racing: Racing):
    cluster, driver = racing(*THREE, writers=1)
    async with cluster:
        await until(0.5)
        assert await nodes_of(cluster, target="prefer-standby") == {"b", "c"}
        assert await nodes_of(cluster, target="standby") == {"b", "c"}
        assert await nodes_of(cluster, target="any") == {"a", "b", "c"}
        with pytest.raises(AllNodesFailed):
            await cluster.connect(target="read-only")
        driver["c"].role = Role.READ_ONLY
        await until(1.5)
        assert await nodes_of(cluster, target="read-only") == {"c"}


async def test_the_writer_serves_readers_when_nobody_else_does(racing: Racing):
    cluster, driver = racing(*THREE, writers=1)
    async with cluster:
        await until(0.5)
        for name in ("b", "c"):
            driver[name].kill()
        await until(1.5)
        assert await nodes_of(cluster, target="prefer-standby") == {"a"}


async def test_the_heaviest_node_is_elected(racing: Racing):
    cluster, _ = racing(*THREE, writers=1)
    cluster.update_node("b", weight=2.0)
    async with cluster:
        await until(0.5)
        assert writers(cluster) == {"b"}


async def test_a_writer_that_is_lost_is_replaced_at_once_and_does_not_take_the_place_back(racing: Racing):
    cluster, driver = racing(*THREE, writers=1)
    diary = Diary(cluster)
    async with cluster:
        await until(0.5)
        driver["a"].kill()
        await until(2)
        driver["a"].restart()
        await until(5)
        assert await nodes_of(cluster) == {"b"}
    assert diary.writers == [(1.0, "a", False), (1.0, "b", True)]


@pytest.mark.parametrize("what", ["read-only", "not ready", "draining", "removed"])
async def test_a_writer_that_is_unfit_is_replaced(racing: Racing, what: str):
    cluster, driver = racing(*THREE, writers=1)
    async with cluster:
        await until(0.5)
        if what == "read-only":
            driver["a"].role = Role.READ_ONLY
        elif what == "not ready":
            driver["a"].ready = False
        elif what == "draining":
            cluster._registry.drain("a", draining=True)
        else:
            cluster.remove_node("a")
        await until(1.5)
        assert writers(cluster) == {"b"}
        assert await nodes_of(cluster) == {"b"}


async def test_a_degraded_writer_stays(racing: Racing):
    cluster, driver = racing(*THREE, writers=1)
    async with cluster:
        await until(0.5)
        driver["a"].degraded = True
        await until(1.5)
        assert await nodes_of(cluster) == {"a"}


async def test_two_writers_share_the_writes(racing: Racing):
    cluster, _ = racing(*THREE, writers=2)
    async with cluster:
        await until(0.5)
        assert await nodes_of(cluster) == {"a", "b"}


async def test_writers_are_elected_without_a_monitor_too(racing: Racing):
    cluster, driver = racing(*THREE, writers=1, monitor_interval=None)
    async with cluster:
        assert await nodes_of(cluster) == {"a"}
        driver["a"].kill()
        assert await nodes_of(cluster) == {"b"}


async def test_a_node_that_joins_does_not_unseat_a_writer(racing: Racing):
    cluster, driver = racing(("b", 0, "ok"), writers=1)
    driver.add("a")
    async with cluster:
        await until(0.5)
        cluster.add_node("a", "fake://app@a/test", weight=5.0)
        await until(2)
        assert writers(cluster) == {"b"}


async def test_elections_are_logged(racing: Racing, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "aioclustersql.monitor")
    cluster, driver = racing(*THREE, writers=1)
    async with cluster:
        await until(0.5)
        driver["a"].kill()
        await until(1.5)
    assert "node a takes no more writes" in caplog.text
    assert "node b takes the writes" in caplog.text


@pytest.mark.parametrize("nodes", ["postgresql://app@db1,db2/shop", "postgresql+psycopg://app@db1/shop", "sqlite:///shop.db"])
def test_writers_are_refused_where_one_node_alone_can_write(nodes: str):
    with pytest.raises(ConfigError, match="leave writers out"):
        Cluster(nodes, writers=1)
    with pytest.raises(ConfigError, match="one primary"):
        Cluster(driver="asyncpg", writers=1)
