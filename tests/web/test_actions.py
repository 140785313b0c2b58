"""Draining, resuming and expiring nodes: what is done, and who may."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from aioclustersql import Cluster
from aioclustersql.observe.web import status_app

from ..runtime.tools import FakeCluster
from .conftest import TOKEN, client_of

KNOWS = {"Authorization": f"Bearer {TOKEN}"}


async def test_a_node_is_drained_and_resumed(client: httpx.AsyncClient, cluster: FakeCluster):
    answer = await client.post("/nodes/shop/b/drain", headers=KNOWS)
    assert (answer.status_code, answer.json()) == (
        200,
        {"cluster": "shop", "node": "b", "action": "drain", "interrupted": 0},
    )
    assert cluster.stats().nodes["b"].draining
    assert (await client.post("/nodes/shop/b/resume", headers=KNOWS)).status_code == 200
    assert not cluster.stats().nodes["b"].draining


async def test_what_is_in_use_is_waited_for_and_then_cut(client: httpx.AsyncClient, cluster: FakeCluster):
    held = [await cluster.acquire() for _ in range(6)]
    node = cluster.node_of(held[0])
    here = [conn for conn in held if cluster.node_of(conn) == node]
    began = asyncio.get_running_loop().time()
    answer = await client.post(f"/nodes/shop/{node}/drain?timeout=4", headers=KNOWS)
    assert answer.json()["interrupted"] == len(here)
    assert asyncio.get_running_loop().time() - began == pytest.approx(4, abs=0.1)
    for conn in held:
        await cluster.release(conn)


async def test_pooled_connections_are_replaced(client: httpx.AsyncClient, cluster: FakeCluster):
    async with cluster.acquire() as conn:
        node = cluster.node_of(conn)
    await asyncio.sleep(1)
    assert cluster.stats().nodes[node].idle == 1
    assert (await client.post(f"/nodes/shop/{node}/expire", headers=KNOWS)).status_code == 200
    assert cluster.stats().nodes[node].idle == 0


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Cookie": f"token={TOKEN}"}]
)
async def test_nothing_is_done_without_the_token(client: httpx.AsyncClient, cluster: FakeCluster, headers: dict[str, str]):
    answer = await client.post("/nodes/shop/b/drain", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not cluster.stats().nodes["b"].draining


async def test_nothing_is_done_where_no_token_is_configured(cluster: FakeCluster):
    async with client_of(status_app(cluster)) as client:
        answer = await client.post("/nodes/shop/b/drain", headers={"Authorization": "Bearer None"})
        page = (await client.get("/")).text
    assert answer.status_code == 403
    assert not cluster.stats().nodes["b"].draining
    assert "<dialog" not in page
    assert "data-action" not in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nodes/shop/nobody/drain", 404),
        ("/nodes/other/b/drain", 404),
        ("/nodes/shop/b/remove", 404),
        ("/nodes/shop/b/drain?timeout=-1", 400),
        ("/nodes/shop/b/drain?timeout=inf", 400),
        ("/nodes/shop/b/drain?timeout=soon", 400),
    ],
)
async def test_what_cannot_be_done_is_told(client: httpx.AsyncClient, path: str, status: int):
    answer = await client.post(path, headers=KNOWS)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


async def test_a_cluster_that_is_not_open_has_nothing_to_expire(unopened: Cluster[Any]):
    async with client_of(status_app(unopened, token=TOKEN)) as client:
        assert (await client.post("/nodes/shop/a/expire", headers=KNOWS)).status_code == 409


async def test_reading_does_nothing(client: httpx.AsyncClient):
    assert (await client.get("/nodes/shop/b/drain", headers=KNOWS)).status_code == 405


async def test_a_node_may_have_a_slash_in_its_name(client: httpx.AsyncClient, cluster: FakeCluster):
    cluster.add_node("rack 1/d", "fake://app@a/test")
    assert (await client.post("/nodes/shop/rack%201%2Fd/drain", headers=KNOWS)).status_code == 200
    assert cluster.stats().nodes["rack 1/d"].draining


async def test_what_was_done_and_refused_is_logged_without_the_token(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "aioclustersql.web")
    await client.post("/nodes/shop/b/resume", headers=KNOWS)
    await client.post("/nodes/shop/b/resume", headers={"Authorization": "Bearer guess"})
    said = [record.getMessage() for record in caplog.records if record.name == "aioclustersql.web"]
    assert said[0] == "cluster shop: node b: resume, asked for from 127.0.0.1"
    assert "refused to 127.0.0.1" in said[1]
    assert TOKEN not in caplog.text
    assert "guess" not in caplog.text
