"""Tools to test an application that uses a cluster, without a server and without waiting.

    from aioclustersql import Cluster
    from aioclustersql.testing import run_virtual, scenario

    def test_the_second_node_answers_while_the_first_is_silent():
        async def main():
            driver, nodes = scenario(("n1", None, "silent"), ("n2", 0.25, "ok"))
            cluster = Cluster(nodes, driver=driver)
            async with cluster.connect() as conn:
                assert conn.server is driver["n2"]
            await cluster.close()
            driver.assert_nothing_open()

        run_virtual(main())

`FakeServer` can be slow, refuse, hang, freeze, die and come back; `FakeDriver.trace` tells what happened and when. With
pytest-asyncio (1.4 or later) a whole suite runs in virtual time by this in its conftest.py:

    def pytest_asyncio_loop_factories(config, item):
        return {"virtual": VirtualLoop}
"""

from __future__ import annotations

from .clock import Deadlock, VirtualLoop, run_virtual
from .connection import FakeConnection, FakeError
from .fake import FakeDriver, Traced
from .scenario import Row, scenario
from .server import FakeServer, Outcome, ResetAnswer

__all__ = [
    "Deadlock",
    "FakeConnection",
    "FakeDriver",
    "FakeError",
    "FakeServer",
    "Outcome",
    "ResetAnswer",
    "Row",
    "Traced",
    "VirtualLoop",
    "run_virtual",
    "scenario",
]
