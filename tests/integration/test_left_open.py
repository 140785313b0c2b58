"""A program that never closes its cluster, with each network driver: it ends, with one warning, and leaves no session."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.integration.alchemy import DRIVERS, drivers_url
from tests.integration.support import Galera, Postgres

pytestmark = pytest.mark.integration

_PROGRAM = """
import asyncio
from aioclustersql import Cluster

async def main():
    cluster = Cluster({nodes!r}, name="shop", target="any", min_size=1)
    await cluster.open()
    await cluster.wait_ready(nodes=3)
    async with cluster.acquire(), cluster.acquire():
        pass
    lease = await cluster.acquire()
    print(cluster.stats().name)

asyncio.run(main())
"""


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_program_that_never_closes_its_cluster_ends_with_one_warning(request: pytest.FixtureRequest, driver: str) -> None:
    servers: Any = request.getfixturevalue(DRIVERS[driver])
    engine = Galera(servers) if DRIVERS[driver] == "galera" else Postgres(servers)
    nodes = {name: drivers_url(driver, url) for name, url in engine.urls().items()}
    command = [sys.executable, "-W", "always", "-c", _PROGRAM.format(nodes=nodes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    warnings = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert (done.returncode, done.stdout) == (0, "shop\n"), done.stderr
    assert len(warnings) == 1, done.stderr
    assert "RuntimeWarning: cluster 'shop' was not closed before its event loop ended" in warnings[0]
    await engine.wait_left()
