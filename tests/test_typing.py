"""The overloads of `Cluster` and `connect`, which only type checkers read, say what the code does; see tests/typing, too."""

import inspect
from typing import get_overloads

import aioclustersql
from aioclustersql import Cluster
from aioclustersql.drivers import names
from aioclustersql.settings import ClusterSettings


def test_the_settings_of_type_checkers_are_the_keywords_of_cluster() -> None:
    keywords = set(inspect.signature(Cluster).parameters) - {"nodes", "driver"}
    assert set(ClusterSettings.__annotations__) == keywords


def test_every_driver_of_ours_has_its_overload() -> None:
    for function in (Cluster.__init__, aioclustersql.connect):
        said = [str(inspect.signature(each).parameters["driver"].annotation) for each in get_overloads(function)]
        assert said[: len(names())] == [f"Literal[{name!r}]" for name in names()]
