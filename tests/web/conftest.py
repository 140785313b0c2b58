"""Clusters over fake servers, and clients of their status app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from aioclustersql import Cluster
from aioclustersql.observe.web import status_app
from aioclustersql.testing import FakeDriver

from ..runtime.tools import FakeCluster, cluster_over

TOKEN = "open sesame"


@pytest.fixture
def driver() -> FakeDriver:
    return FakeDriver("a", "b", "c")


@pytest.fixture
async def cluster(driver: FakeDriver) -> AsyncIterator[FakeCluster]:
    """Open, over three fake servers."""
    async with cluster_over(driver, name="shop") as cluster:
        await cluster.wait_ready(nodes=3)
        yield cluster


@pytest.fixture
def unopened() -> Cluster[Any]:
    return Cluster({"a": "fake://app@a/shop"}, driver=FakeDriver("a"), name="shop")


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://status")


@pytest.fixture
async def client(cluster: FakeCluster) -> AsyncIterator[httpx.AsyncClient]:
    """Of the app of `cluster`, which has a token."""
    async with client_of(status_app(cluster, token=TOKEN)) as client:
        yield client
