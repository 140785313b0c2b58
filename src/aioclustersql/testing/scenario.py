"""Scenarios as rows: which server answers when, and how. Nothing here decides anything."""

from __future__ import annotations

from aioclustersql.node import Role

from .fake import FakeDriver
from .server import FakeServer, Outcome

__all__ = ["Row", "scenario"]

Row = tuple[str, float | None, Outcome | Exception] | tuple[str, float | None, Outcome | Exception, Role]
"""(name, delay in seconds, outcome[, role]): one server."""


def scenario(*rows: Row, swallow_cancel: bool = False) -> tuple[FakeDriver, dict[str, str]]:
    """A `FakeDriver` and the nodes to give to a cluster, from rows of (name, delay, outcome[, role]).

        driver, nodes = scenario(
            ("n1", 0.25, "ok"),
            ("n2", 0.5, "refused"),
            ("n3", None, "silent"),
        )
        cluster = Cluster(nodes, driver=driver)

    The delay is what a login takes up to its outcome: 0 is one turn of the loop, `None` none at all; a silent server needs
    none. The outcomes are described at `Outcome`; an exception is raised as it is. Afterwards `driver.assert_only_open(conn)`
    says whether all that did not win was closed, and `driver.trace` when each thing happened.
    """
    driver = FakeDriver(swallow_cancel=swallow_cancel)
    for row in rows:
        driver.add(FakeServer(*row))
    return driver, {server.name: f"fake://app@{server.name}/test" for server in driver}
