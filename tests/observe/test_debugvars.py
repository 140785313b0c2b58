"""/debug/vars: the original's names, where its dashboards look for them, and ours beside."""

from __future__ import annotations

import json
import re

import pytest

from aioclustersql import ConfigError
from aioclustersql.observe import debug_vars
from tests.runtime.conftest import Racing

_GO_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d*[1-9])? \+0000 UTC")


async def test_a_cluster_is_published_with_the_originals_names(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), ("b", 0.125, "refused"))
    await cluster.connect()
    published = debug_vars([cluster])["ClusterSql"]
    assert list(published) == ["FirstInstanciated", "a", "b"]
    assert set(published["a"]) == {"Connections", "Errors", "LastSuccess"}
    assert set(published["b"]) == {"Connections", "Errors", "LastError", "LastErrorMessage"}
    assert (published["a"]["Connections"], published["b"]["Errors"]) == (1, 1)
    assert published["b"]["LastErrorMessage"] == "ConnectionRefusedError: [Errno 111] Connect call failed (b)"


async def test_moments_are_written_as_go_writes_them(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"))
    await cluster.connect()
    published = debug_vars([cluster])["ClusterSql"]
    assert _GO_TIME.fullmatch(published["FirstInstanciated"])
    assert _GO_TIME.fullmatch(published["a"]["LastSuccess"])


async def test_several_clusters_stand_under_their_names_and_the_first_where_the_original_stands(racing: Racing):
    shop, _ = racing(("a", 0.25, "ok"), name="shop")
    logs, _ = racing(("l", 0.25, "ok"), name="logs")
    published = debug_vars([shop, logs])
    assert list(published) == ["ClusterSql", "ClusterSql:shop", "ClusterSql:logs", "aioclustersql"]
    assert published["ClusterSql"] == published["ClusterSql:shop"]
    assert "l" in published["ClusterSql:logs"]


async def test_ours_is_the_whole_snapshot(racing: Racing):
    cluster, _ = racing(("a", 0.25, "ok"), name="shop")
    await cluster.connect()
    assert json.loads(json.dumps(debug_vars([cluster]), allow_nan=False))["aioclustersql"] == {"shop": cluster.stats().as_dict()}


async def test_two_clusters_of_one_name_are_an_error(racing: Racing):
    one, _ = racing(("a", 0.25, "ok"))
    other, _ = racing(("b", 0.25, "ok"))
    with pytest.raises(ConfigError, match="two clusters are named 'cluster'"):
        debug_vars([one, other])
