"""No password is in anything that the status app sends, wherever it was planted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aioclustersql import AllNodesFailed, Cluster
from aioclustersql.observe.web import status_app
from aioclustersql.testing import FakeDriver

from .asgi import Client
from .conftest import TOKEN, client_of

IN_URL, IN_OPTIONS = "hunter2", "correct-horse"
PATHS = ("/", "/page.json", "/readyz", "/stats.json", "/debug/vars", "/metrics")


async def test_no_password_and_no_token_leaves_the_process(driver: FakeDriver):
    driver["a"].outcome = RuntimeError(f"login with {IN_URL} refused")
    driver["b"].outcome = RuntimeError(f"login with {IN_OPTIONS} refused")
    cluster = Cluster[Any]({"a": f"fake://app:{IN_URL}@a/shop"}, driver=driver, name="shop")
    cluster.add_node("b", "fake://app@b/shop", connect_options={"password": IN_OPTIONS})
    app = status_app(cluster, token=TOKEN)
    listening = [Client(app, "/events"), Client(app, "/events", query="page")]
    await asyncio.sleep(0.1)
    with pytest.raises(AllNodesFailed):
        await cluster.connect()
    await asyncio.sleep(1)
    async with client_of(app) as client:
        sent = "".join([(await client.get(path)).text for path in PATHS]) + "".join(each.body.decode() for each in listening)
    assert sent.count("refused") >= 8
    for secret in (IN_URL, IN_OPTIONS, TOKEN):
        assert secret not in sent
    for each in listening:
        await each.leave()
    await cluster.close()
