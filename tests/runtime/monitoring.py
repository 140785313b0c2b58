"""What the tests of the monitor share.

Probes and logins take no time where a test says nothing else, so that all times are exact: a node is asked at 0, 1, 2, ...
"""

from __future__ import annotations

import asyncio
from typing import Any

from aioclustersql.events import Event, HealthChanged, RoleChanged, WriterChanged
from aioclustersql.node import Health
from aioclustersql.testing import FakeConnection, FakeDriver, FakeServer, VirtualLoop

from .tools import FakeCluster, now

__all__ = ["Diary", "all_of", "block", "health", "member_of", "nodes_of", "reserved", "until"]


class Diary:
    """When a cluster's nodes changed."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.lines: list[tuple[float, Event]] = []
        cluster.subscribe(lambda event: self.lines.append((round(now(), 6), event)))

    def of(self, kind: type[Event]) -> list[tuple[float, Any]]:
        """The events of a class, with their times."""
        return [line for line in self.lines if isinstance(line[1], kind)]

    @property
    def health(self) -> list[tuple[float, str, Health]]:
        """(time, node, its new health)"""
        return [(at, event.node, event.new) for at, event in self.of(HealthChanged)]

    @property
    def roles(self) -> list[tuple[float, str, str]]:
        """(time, node, its new role)"""
        return [(at, event.node, str(event.new)) for at, event in self.of(RoleChanged)]

    @property
    def writers(self) -> list[tuple[float, str, bool]]:
        """(time, node, whether it takes the writes)"""
        return [(at, event.node, event.writer) for at, event in self.of(WriterChanged)]


def block(seconds: float) -> None:
    """What user code does that computes for so long: nothing else runs meanwhile."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._now += round(seconds * 1e9)


async def until(at: float) -> None:
    """Sleep up to a time of the loop."""
    await asyncio.sleep(at - now())


def health(cluster: FakeCluster) -> dict[str, str]:
    """Every node's health."""
    return {name: str(node.health) for name, node in cluster.stats().nodes.items()}


def member_of(cluster: FakeCluster, name: str) -> Any:
    """What is known of a node."""
    return cluster._registry.get(name)


def reserved(server: FakeServer) -> FakeConnection:
    """The monitor's connection there, which must be the only one."""
    (conn,) = server.connections
    return conn


def all_of(driver: FakeDriver, **attributes: object) -> None:
    """The same for every server."""
    for server in driver:
        for name, value in attributes.items():
            setattr(server, name, value)


async def nodes_of(cluster: FakeCluster, count: int = 20, target: str | None = None) -> set[str]:
    """The nodes that so many connects end on."""
    found = set()
    for _ in range(count):
        async with cluster.connect(target=target) as conn:
            found.add(conn.server.name)
    return found
