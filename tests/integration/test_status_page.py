"""The status page in a real browser, over real PostgreSQL servers: what an operator sees, and when.

One browser and one site serve the whole file. Rule: whatever the tests do, the browser's console stays empty (no script error, no
violation of the content-security policy) but for answers that a test asked for.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from aioclustersql.demo.postgres import PostgresCluster

from .site import Site, serve

pytestmark = pytest.mark.integration

TOKEN = "open sesame"
EVIL = "<script>document.title='owned'</script>"
SOON = 2000
"""Milliseconds within which the page must tell."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def site(postgres_cluster: PostgresCluster) -> Iterator[Site]:
    nodes = {node.name: node.dsn() for node in postgres_cluster.nodes}
    nodes["evil"] = nodes["pg1"].rpartition("/")[0] + "/" + EVIL.replace("/", "%2F").replace("<", "%3C").replace(">", "%3E")
    with serve(nodes, app={"token": TOKEN, "ready_nodes": 3, "ready_target": "any"}, name="shop", target="any") as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What a test expects on the console, as patterns."""
    return []


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, site: Site, complaints: list[str], postgres: PostgresCluster) -> Iterator[Page]:
    """The page, live, with all nodes up."""
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(site.url)
    expect(page.locator("#live")).to_have_text("Live")
    for node in postgres.nodes:
        expect(health(page, node.name)).to_have_text("up")
    yield page
    assert [line for line in said if not any(re.search(pattern, line) for pattern in complaints)] == []


def row(page: Page, node: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=node))


def health(page: Page, node: str) -> Locator:
    return row(page, node).locator(".badge")


def confirm(page: Page, token: str | None) -> None:
    dialog = page.get_by_role("dialog")
    if token is not None:
        dialog.get_by_label("Token").fill(token)
    dialog.get_by_role("button").last.click()


def test_a_frozen_node_is_told_everywhere_within_two_seconds_until_it_is_well_again(
    page: Page, site: Site, postgres: PostgresCluster
):
    node = postgres.standbys[0]
    with httpx.Client(base_url=site.url, trust_env=False) as client:
        assert client.get("readyz").status_code == 200
        node.freeze()
        froze = time.monotonic()
        expect(health(page, node.name)).to_have_text("down", timeout=SOON)
        unready = client.get("readyz")
        (stats,) = client.get("stats.json").json()
        assert time.monotonic() - froze < SOON / 1000
        assert (unready.status_code, unready.json()["ready"]) == (503, False)
        reason = unready.json()["clusters"]["shop"]["reason"]
        assert re.search(
            rf"2 of 3 nodes ready for any: .*{node.name}: down since \d\d:\d\d:\d\d UTC, standby \(no answer", reason
        )
        assert stats["nodes"][node.name]["health"] == "down"
        expect(page.locator("#verdict")).to_have_text(re.compile("Not ready: shop"))
        expect(row(page, node.name)).to_contain_text(re.compile(r"since \d\d:\d\d:\d\d, (\d s ago|just now)"))
        expect(page.get_by_role("log")).to_contain_text(f"{node.name} up → down")
        node.thaw()
        expect(health(page, node.name)).to_have_text("up")
        expect(page.locator("#verdict")).not_to_contain_text("Not ready")
        assert client.get("readyz").status_code == 200


def test_a_node_is_drained_and_resumed_with_the_token_and_not_without(page: Page, site: Site, complaints: list[str]):
    complaints.append("status of 401")
    drain = page.get_by_role("button", name="Drain pg3")
    drain.focus()
    page.keyboard.press("Enter")
    confirm(page, "wrong")
    expect(page.locator("#done")).to_have_text("Drain pg3: the token is missing or wrong")
    assert not site.cluster.stats().nodes["pg3"].draining
    drain.click()
    confirm(page, TOKEN)
    expect(page.locator("#done")).to_have_text("Drain pg3: done.")
    expect(health(page, "pg3")).to_have_text("draining")
    page.get_by_role("button", name="Expire pg3").click()
    confirm(page, None)
    expect(page.locator("#done")).to_have_text("Expire pg3: done.")
    page.get_by_role("button", name="Resume pg3").click()
    confirm(page, None)
    expect(page.locator("#done")).to_have_text("Resume pg3: done.")
    expect(health(page, "pg3")).to_have_text("up")
    assert not site.cluster.stats().nodes["pg3"].draining


def test_what_a_server_says_is_text_and_nothing_else(page: Page):
    expect(row(page, "evil")).to_contain_text(f'database "{EVIL}" does not exist')
    page.reload()
    expect(row(page, "evil")).to_contain_text(EVIL)
    assert page.title() == "shop: cluster status"


def test_nodes_that_come_and_go_are_rows_that_come_and_go(page: Page, site: Site, postgres: PostgresCluster):
    site.call(site.cluster.add_node, "another", postgres.primary.dsn())
    expect(health(page, "another")).to_have_text("up")
    assert page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.node)")[0] == "another"
    site.call(site.cluster.remove_node, "another")
    expect(row(page, "another")).to_have_count(0)


def test_the_page_asks_where_it_cannot_listen(page: Page, site: Site, complaints: list[str]):
    complaints.append("net::ERR_FAILED")
    page.route("**/events?page", lambda route: route.abort())
    page.reload()
    expect(page.locator("#live")).to_contain_text("Asking every 2 s")
    site.call(site.cluster.add_node, "asked", "postgresql://postgres@127.0.0.1:1/postgres")
    expect(row(page, "asked")).to_have_count(1)
    site.call(site.cluster.remove_node, "asked")


def test_the_page_fits_a_telephone_follows_the_dark_and_needs_no_script(page: Page, browser: Browser, site: Site):
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for width in (1280, 1100, 910, 360):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        inside = "Array.from(document.querySelectorAll('section *')).every(each => each.closest('section').clientWidth + 2 >= "
        assert page.evaluate(
            inside + "each.getBoundingClientRect().right - each.closest('section').getBoundingClientRect().left)"
        )
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    plain = browser.new_context(java_script_enabled=False)
    still = plain.new_page()
    still.goto(site.url)
    expect(health(still, "pg1")).to_have_text("up")
    expect(still.locator("#live")).to_contain_text("As of")
    plain.close()
