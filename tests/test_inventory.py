"""The forms of `nodes=`, and what a cluster makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from aioclustersql import Cluster, ConfigError, Node
from aioclustersql.inventory import read_nodes
from aioclustersql.node import Target
from aioclustersql.testing import FakeDriver


def names(nodes: Any) -> list[str]:
    return [node.name for node in read_nodes(nodes).nodes]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://app@db1,db2:6000,db3/shop", ["db1:5432", "db2:6000", "db3:5432"]),
        ("mysql+aiomysql://app@db1/shop", ["db1:3306"]),
        ("mariadb://[::1],[::2]:3307", ["[::1]:3306", "[::2]:3307"]),
        ("postgres:///shop", ["localhost:5432"]),
        ("mysql://%2Frun%2Fmysqld.sock/shop", ["%2Frun%2Fmysqld.sock"]),
        ("fake://a,b:1/x", ["a", "b:1"]),
    ],
)
def test_a_url_names_its_nodes_host_and_port(url: str, expected: list[str]):
    assert names(url) == expected


def test_each_node_of_a_url_keeps_user_database_and_options():
    assert [node.dsn for node in read_nodes("mysql://app:pw@a,b:1/shop?charset=utf8").nodes] == [
        "mysql://app:pw@a/shop?charset=utf8",
        "mysql://app:pw@b:1/shop?charset=utf8",
    ]


def test_a_mapping_gives_the_names():
    assert read_nodes({"n1": "mysql://a/x", "n2": "mysql://b/x"}).nodes == (Node("n1", "mysql://a/x"), Node("n2", "mysql://b/x"))


def test_node_values_are_taken_as_they_are():
    nodes = (Node("n1", "mysql://a/x", 2.0, {"charset": "utf8"}),)
    assert read_nodes(iter(nodes)).nodes == nodes


def test_no_nodes_are_fine():
    assert names(()) == []
    assert names({}) == []


@pytest.mark.parametrize("wrong", [["mysql://a/x"], [("n1", "mysql://a/x")], [None]])
def test_a_list_of_anything_else_is_refused(wrong: Any):
    with pytest.raises(ConfigError, match=r"nodes= takes one URL .*, a mapping of names to URLs, or Node values; not"):
        read_nodes(wrong)


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_name_is_text(name: Any):
    with pytest.raises(ConfigError, match="a node's name is a non-empty string"):
        read_nodes({name: "mysql://a/x"})


def test_target_session_attrs_of_a_url_is_the_target_and_no_option_of_the_nodes():
    inventory = read_nodes("postgresql://a,b/x?sslmode=prefer&target_session_attrs=prefer-standby&k=1")
    assert inventory.target is Target.PREFER_STANDBY
    assert [node.dsn for node in inventory.nodes] == [f"postgresql://{host}/x?sslmode=prefer&k=1" for host in "ab"]


def test_target_session_attrs_alone_leaves_no_question_mark():
    assert read_nodes("postgresql://a/x?target_session_attrs=any").nodes[0].dsn == "postgresql://a/x"


def test_a_misspelt_target_in_a_url_is_refused():
    with pytest.raises(ConfigError, match="target 'master' is unknown"):
        read_nodes("postgresql://a/x?target_session_attrs=master")


def test_two_targets_in_a_url_are_refused():
    with pytest.raises(ConfigError, match="'target_session_attrs' is given twice"):
        read_nodes("postgresql://a/x?target_session_attrs=any&target_session_attrs=any")


def cluster(nodes: Any = (), **settings: Any) -> Cluster[Any]:
    return Cluster(nodes, driver=FakeDriver("a", "b"), **settings)


def test_a_clusters_target_is_that_of_its_url():
    assert cluster("fake://a,b/x?target_session_attrs=standby").stats().target == "standby"


def test_a_target_that_contradicts_the_url_is_refused():
    with pytest.raises(ConfigError, match="target='any' contradicts the URL's target_session_attrs"):
        cluster("fake://a/x?target_session_attrs=standby", target="any")


def test_a_target_in_the_url_of_a_single_node_of_a_mapping_is_refused():
    with pytest.raises(ConfigError, match="target_session_attrs"):
        cluster({"a": "fake://a/x?target_session_attrs=standby"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "master"}, "target 'master' is unknown"),
        ({"stagger": 1}, "stagger is 'auto' or 0, not 1"),
        ({"stagger": False}, "stagger is 'auto' or 0, not False"),
        ({"stagger": "0"}, "stagger is 'auto' or 0, not '0'"),
        ({"init": 7}, "init is an async function"),
        ({"driver": "asynpg"}, "driver 'asynpg' is unknown; .* did you mean 'asyncpg'"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        Cluster(**settings)


def test_the_driver_may_be_left_out_where_the_url_tells_it():
    for url, driver in (("postgresql://a/x", "asyncpg"), ("mysql://a/x", "aiomysql"), ("mariadb+aiomysql://a/x", "aiomysql")):
        assert Cluster(url).stats().driver == driver


def test_a_cluster_without_nodes_learns_its_driver_from_the_first():
    made: Cluster[Any] = Cluster()
    assert (made.stats().driver, repr(made)) == (None, "<Cluster 'cluster' (no driver, not open): no node>")
    made.add_node("a", "mysql://a/x")
    assert made.stats().driver == "aiomysql"


def test_mixed_drivers_are_an_error():
    with pytest.raises(ConfigError, match="node 'b'"):
        Cluster({"a": "mysql://a/x", "b": "postgresql://b/x"})


def test_a_scheme_that_nobody_serves_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="no driver for 'oracle'; known schemes: mariadb, mysql, postgres, postgresql"):
        Cluster("oracle://a/x")


def test_a_go_dsn_is_an_error_that_shows_the_url():
    with pytest.raises(ConfigError, match=r"'mysql://app:\*\*\*@a:3306/x'"):
        Cluster("app:pw@tcp(a:3306)/x")
