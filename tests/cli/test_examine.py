"""How long `check` takes, and what it leaves: in virtual time, with a driver that has no tables to write to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import MappingProxyType

import pytest

from aioclustersql import ConfigError, Node, Role
from aioclustersql.cli.check.examine import Examination
from aioclustersql.cli.check.facts import ClusterFacts
from aioclustersql.config import Settings
from aioclustersql.failure import FailureKind
from aioclustersql.testing import FakeDriver, scenario
from aioclustersql.testing.scenario import Row

TIMEOUT = 4.0


def examination(*rows: Row) -> tuple[Examination, FakeDriver]:
    driver, nodes = scenario(*rows)
    options = MappingProxyType({"driver": driver, "connect_timeout": TIMEOUT})
    listed = tuple(Node(name, dsn, connect_options={"password": "hunter2"}) for name, dsn in nodes.items())
    return Examination(Settings(listed, options, Path("config.toml"))), driver


async def examined(*rows: Row) -> tuple[ClusterFacts, float]:
    """What was found, and the time that it took."""
    check, driver = examination(*rows)
    loop = asyncio.get_running_loop()
    began = loop.time()
    facts = await check.run()
    seconds = loop.time() - began
    driver.assert_nothing_open()
    return facts, seconds


async def test_a_silent_node_costs_the_connect_timeout_and_less_than_a_second_more() -> None:
    facts, seconds = await examined(("n1", 0.01, "ok"), ("n2", None, "silent"), ("n3", None, "silent"))
    assert TIMEOUT <= seconds < TIMEOUT + 1
    assert [node.failure and node.failure.kind for node in facts.nodes] == [None, FailureKind.TIMEOUT, FailureKind.TIMEOUT]


async def test_all_nodes_are_looked_at_at_the_same_time() -> None:
    facts, seconds = await examined(*((f"n{number}", 1.0, "ok") for number in range(9)))
    assert {node.login for node in facts.nodes} == {1.0}
    assert seconds < 1.0 + 1.0


async def test_a_refused_login_is_a_fact_of_its_node() -> None:
    facts, _ = await examined(("n1", 0.01, "ok"), ("n2", 0.01, "refused"), ("n3", 0.01, "wrong-password"))
    kinds = [None if node.failure is None else node.failure.kind for node in facts.nodes]
    assert kinds == [None, FailureKind.UNREACHABLE, FailureKind.CONFIGURATION]


async def test_an_unknown_driver_is_a_gap_and_no_error() -> None:
    facts, _ = await examined(("n1", 0.01, "ok", Role.PRIMARY))
    assert facts.nodes[0].observation is not None
    assert facts.nodes[0].gap is not None
    assert facts.acceptance is None


@pytest.mark.parametrize("after", [0.0, 0.005, 0.5, TIMEOUT])
async def test_a_cancelled_check_leaves_nothing_open(after: float) -> None:
    check, driver = examination(("n1", 0.01, "ok"), ("n2", None, "silent"))
    task = asyncio.create_task(check.run())
    await asyncio.sleep(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    driver.assert_nothing_open()


def test_a_wrong_option_is_an_error_before_anything_is_asked() -> None:
    driver, nodes = scenario(("n1", 0.0, "ok"))
    node = Node("n1", nodes["n1"], connect_options={"charzet": "utf8"})
    with pytest.raises(ConfigError, match="'charset'"):
        Examination(Settings((node,), MappingProxyType({"driver": driver}), Path("config.toml")))
