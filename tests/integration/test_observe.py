"""What an operator sees on real servers: within 2 s metrics and log say which node, what and why; after healing all is clear."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from aioclustersql import Cluster
from aioclustersql.demo.postgres import PostgresCluster
from aioclustersql.observe.prometheus import render
from tests.integration.support import Engine, Galera, Postgres, until
from tests.servers.galera import GaleraCluster

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

WITHIN = 2.0


class Operator:
    """Looks at a cluster's metrics and its log."""

    def __init__(self, cluster: Cluster[Any], log: pytest.LogCaptureFixture) -> None:
        self.cluster = cluster
        self.log = log

    def value(self, metric: str, node: str, **labels: str) -> float | None:
        """What a scrape says of a node."""
        more = "".join(f'.*{key}="{value}"' for key, value in labels.items())
        line = rf'^aioclustersql_node_{metric}{{.*node="{node}"{more}.*}} (\S+)$'
        found = re.search(line, render(self.cluster)[0].decode(), re.MULTILINE)
        return None if found is None else float(found[1])

    async def sees(self, what: Callable[[], bool], line: str, within: float = WITHIN) -> None:
        """Both the metrics and the log say it in that time."""

        async def both() -> bool:
            return re.search(line, self.log.text) is not None and what()  # a scrape takes milliseconds of the loop

        await until(both, f"{line!r} is not in the log, or not in the metrics:\n{self.log.text}", within)

    async def all_clear(self, engine: Engine) -> None:
        """Every node is up."""

        async def clear() -> bool:
            names = [node.name for node in engine.nodes]
            healthy = all(self.value("up", name) == 1 and self.value("degraded", name) == 0 for name in names)
            return healthy and all(self.value("observed_timestamp_seconds", name) for name in names)

        await until(clear, f"not all is clear: {self.cluster.stats()}", 30.0)
        self.log.clear()


async def test_a_galera_node_that_is_desynced_frozen_and_killed(galera: GaleraCluster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aioclustersql")
    engine = Galera(galera)
    node = engine.nodes[1]
    async with engine.cluster() as cluster:
        see = Operator(cluster, caplog)
        await see.all_clear(engine)

        await asyncio.to_thread(node.sql, "SET GLOBAL wsrep_desync=ON")
        await see.sees(lambda: see.value("degraded", node.name) == 1, rf"node {node.name}: degraded.*desynced")
        await asyncio.to_thread(node.sql, "SET GLOBAL wsrep_desync=OFF")
        await see.sees(lambda: see.value("degraded", node.name) == 0, rf"node {node.name}: no longer degraded")

        node.freeze()
        await see.sees(
            lambda: see.value("health", node.name, health="down") == 1, rf"{node.name}: up -> down: no answer to a probe"
        )
        node.thaw()
        await see.all_clear(engine)

        node.kill9()
        await see.sees(lambda: see.value("up", node.name) == 0, rf"{node.name}: up -> down: .*[Cc]onnect")
        await asyncio.to_thread(node.restart)
        await see.sees(lambda: see.value("up", node.name) == 1, rf"node {node.name}: .* -> up", 20.0)


async def test_a_primary_that_is_killed_and_a_standby_that_is_promoted(
    postgres: PostgresCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aioclustersql")
    engine = Postgres(postgres)
    primary, standby = postgres.primary, postgres.standbys[0]
    async with engine.cluster() as cluster:
        see = Operator(cluster, caplog)
        await see.all_clear(engine)
        assert see.value("role", primary.name, role="primary") == 1
        primary.kill9()
        await see.sees(lambda: see.value("up", primary.name) == 0, rf"node {primary.name}: up -> down: ")
        await asyncio.to_thread(standby.promote)
        await see.sees(
            lambda: see.value("role", standby.name, role="primary") == 1, rf"node {standby.name}: role standby -> primary"
        )
