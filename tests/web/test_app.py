"""What the status app answers: probes, figures, the page, and its headers."""

from __future__ import annotations

import re
import sys
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aioclustersql import Cluster, ConfigError
from aioclustersql.observe import debug_vars, prometheus
from aioclustersql.observe.web import status_app
from aioclustersql.testing import FakeDriver

from ..runtime.tools import FakeCluster
from .conftest import client_of

READ = ("/", "/healthz", "/readyz", "/metrics", "/debug/vars", "/stats.json", "/page.json", "/static/page.css")


async def test_the_process_is_healthy_whatever_its_clusters_are(unopened: Cluster[Any]):
    async with client_of(status_app(unopened)) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


async def test_it_is_ready_while_enough_nodes_serve(client: httpx.AsyncClient):
    answer = await client.get("/readyz")
    told = answer.json()
    nodes = told["clusters"]["shop"].pop("nodes")
    assert (answer.status_code, told) == (200, {"ready": True, "clusters": {"shop": {"ready": True, "reason": None}}})
    assert nodes.keys() == {"a", "b", "c"}
    assert all(re.fullmatch(r"up since \d\d:\d\d:\d\d UTC, peer", state) for state in nodes.values())


async def test_it_says_why_it_is_not_ready(cluster: FakeCluster, driver: FakeDriver):
    driver["b"].kill()
    with pytest.raises(TimeoutError):
        await cluster.wait_ready(nodes=4, timeout=3)
    async with client_of(status_app(cluster, ready_nodes=3, ready_target="any")) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    reason = answer.json()["clusters"]["shop"]["reason"]
    assert re.fullmatch(
        r"2 of 3 nodes ready for any: a: up since [\d:]{8} UTC, peer; b: down since [\d:]{8} UTC, peer \(.+\); "
        r"c: up since [\d:]{8} UTC, peer",
        reason,
    )


async def test_one_cluster_that_is_not_ready_is_enough(cluster: FakeCluster):
    other = Cluster[Any]({"x": "fake://app@x/shop"}, driver=FakeDriver("x"), name="other")
    async with client_of(status_app(cluster, other)) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert {name: each["ready"] for name, each in answer.json()["clusters"].items()} == {"shop": True, "other": False}


async def test_stats_are_those_of_the_cluster_and_its_readiness(client: httpx.AsyncClient, cluster: FakeCluster):
    (told,) = (await client.get("/stats.json")).json()
    assert (told.pop("ready"), told.pop("reason")) == (True, None)
    assert told.pop("states").keys() == {"a", "b", "c"}
    expected = cluster.stats().as_dict()
    assert told.keys() == expected.keys()
    assert told["nodes"].keys() == expected["nodes"].keys() == {"a", "b", "c"}


async def test_the_original_s_variables_are_served(client: httpx.AsyncClient, cluster: FakeCluster):
    told = (await client.get("/debug/vars")).json()
    assert told.keys() == debug_vars([cluster]).keys()
    assert told["ClusterSql"]["FirstInstanciated"] == debug_vars([cluster])["ClusterSql"]["FirstInstanciated"]


async def test_the_metrics_are_those_of_the_clusters(client: httpx.AsyncClient, cluster: FakeCluster):
    answer = await client.get("/metrics")
    expected, content_type = prometheus.render(cluster)
    assert answer.headers["content-type"] == content_type
    told = {family.name for family in text_string_to_metric_families(answer.text)}
    assert told == {family.name for family in text_string_to_metric_families(expected.decode())}


async def test_without_prometheus_s_package_the_answer_names_the_extra(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "aioclustersql.observe.prometheus", None)
    answer = await client.get("/metrics")
    assert (answer.status_code, "aioclustersql[prometheus]" in answer.text) == (501, True)


def test_without_starlette_the_error_names_the_extra(unopened: Cluster[Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    monkeypatch.delitem(sys.modules, "aioclustersql.observe.web.app", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'aioclustersql\[web\]'"):
        status_app(unopened)


async def test_the_page_needs_no_script_to_be_read(client: httpx.AsyncClient):
    text = (await client.get("/")).text
    assert "All 3 nodes are up." in text
    assert re.findall(r'<tr role="row" data-node="(\w+)" data-level="good"', text) == ["a", "b", "c"]


async def test_the_page_loads_nothing_from_elsewhere_and_links_relatively(client: httpx.AsyncClient):
    text = (await client.get("/")).text
    links = re.findall(r'(?:href|src)="([^"]*)"', text)
    assert "static/page.js" in links
    assert [link for link in links if link.startswith(("/", "http:", "https:"))] == []
    for link in links:
        if not link.startswith("#"):
            assert (await client.get("/" + link)).status_code in (200, 503), link


async def test_what_a_server_says_is_escaped(driver: FakeDriver):
    driver["a"].outcome = RuntimeError("<script>alert('a')</script>")
    cluster = Cluster[Any]({"a": "fake://app@a/<i>shop"}, driver=driver, name="<b>shop")
    with pytest.raises(Exception, match="alert"):
        await cluster.connect()
    async with client_of(status_app(cluster)) as client:
        text = (await client.get("/")).text
    assert "&lt;script&gt;alert(" in text
    assert "<script>" not in text
    assert "<b>" not in text.replace("<b data-text", "")


@pytest.mark.parametrize("path", READ)
async def test_every_answer_has_the_headers_that_bind_a_browser(client: httpx.AsyncClient, path: str):
    headers = (await client.get(path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] in ("no-store", "no-cache")


@pytest.mark.parametrize("path", [*READ, "/events"])
async def test_head_is_answered_without_a_body(client: httpx.AsyncClient, path: str):
    answer = await client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_static_files_are_sent_again_only_when_they_changed(client: httpx.AsyncClient):
    first = await client.get("/static/page.css")
    again = await client.get("/static/page.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get("/static/..%2Fapp.py")).status_code == 404


async def test_a_host_that_is_not_ours_is_refused(unopened: Cluster[Any]):
    async with client_of(status_app(unopened, allowed_hosts=["localhost"])) as client:
        assert (await client.get("/healthz")).status_code == 400
        assert (await client.get("/healthz", headers={"Host": "localhost:8080"})).status_code == 200


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"token": ""}, "token is a string"),
        ({"ready_nodes": 0}, "ready_nodes is a whole number"),
        ({"ready_target": "writer"}, "target 'writer' is unknown"),
        ({"max_streams": -1}, "max_streams is a whole number"),
        ({"interval": 0}, "interval"),
    ],
)
def test_what_is_wrong_is_named(unopened: Cluster[Any], settings: dict[str, Any], complaint: str):
    with pytest.raises((ConfigError, ValueError), match=complaint):
        status_app(unopened, **settings)


def test_two_clusters_of_one_name_and_none_at_all_are_errors(unopened: Cluster[Any]):
    with pytest.raises(ConfigError, match="two clusters are named 'shop'"):
        status_app(unopened, Cluster(name="shop"))
    with pytest.raises(ConfigError, match="needs a cluster"):
        status_app()
