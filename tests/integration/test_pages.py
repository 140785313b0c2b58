"""The code in the pages of docs/ is run as it is printed, on real servers. (The README's is in test_readme.)"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.integration.snippets import ROOT, Hosts, blocks, on, program, run

pytestmark = pytest.mark.integration

PAGES = {page.name: page for page in sorted((ROOT / "docs").rglob("*.md"))}
ELSEWHERE = {
    **dict.fromkeys(
        ("aiohttp", "alembic", "fastapi", "litestar", "quart", "read-write-split", "sqlalchemy", "use-your-own-pool"),
        "test_howto.py",
    ),
    **dict.fromkeys(
        ("move-from-asyncpg-multi-host", "move-from-hasql", "move-from-the-go-package"), "integration/test_moving_pages.py"
    ),
    **dict.fromkeys(("kubernetes-probes", "read-the-status-page"), "web/test_mounting.py"),
    **dict.fromkeys(("a-web-service", "lose-a-node"), "integration/test_tutorial.py"),
    "monitor": "observe/test_page.py",
    "write-a-driver": "test_write_a_driver.py",
}
"""The pages whose code is run by a test file of their own, which names them."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """One block of a page: what it takes for granted, what is looked at after it, and what is printed (a pattern)."""

    before: str = ""
    after: str = ""
    prints: str = ""
    inside: bool = True
    """It is in the block of an open cluster."""


ON_DB = "postgresql://app@db1,db2,db3/shop"
SNIPPETS = {
    ("how-it-keeps-serving.md", 0): Snippet(prints=r"visits: [01]\n", inside=False),  # a standby may be a moment late
    ("how-it-keeps-serving.md", 1): Snippet(
        before="""
            restarted = []
            async def restart(node):
                restarted.append(node)
                assert cluster.stats().nodes[node].draining
            async with cluster.acquire() as conn:
                pass
        """,
        after="print(len(restarted), interrupted)",
        prints=r"3 0\n",
    ),
    ("transactions.md", 0): Snippet(prints=r"ann has 90\n"),
    ("transactions.md", 1): Snippet(
        after="""
            async with cluster.acquire() as conn:
                print(await conn.fetchval("SELECT balance FROM accounts WHERE name = 'ann'"))
        """,
        prints=r"there is one already\n101\n",
    ),
    ("transactions.md", 2): Snippet(
        after="""
            async with cluster.acquire() as conn:
                print(await conn.fetchval("SELECT count(*) FROM orders WHERE article = 'apples'"))
        """,
        prints=r"1\n",
    ),
    ("events.md", 0): Snippet(
        before="""
            logging.getLogger("aioclustersql").addHandler(logging.NullHandler())
            cluster.add_node("nobody", "postgresql://app@127.0.0.1:1/shop")
        """,
        after="""
            while cluster.stats().nodes["nobody"].health == "up":
                await asyncio.sleep(0.01)
            unsubscribe()
        """,
        prints=r"nobody is down ConnectionRefusedError: .*\n",
    ),
    ("tls.md", 0): Snippet(after="print(len(cluster.nodes))", prints=r"3\n", inside=False),
    ("time-outs.md", 0): Snippet(prints=""),
    ("drain-and-deploy.md", 0): Snippet(
        before="""
            async def restart(node):
                assert cluster.stats().nodes[node].draining
        """,
        prints=r"(.* is free; 0 connections were cut off\n){3}",
    ),
    ("drain-and-deploy.md", 1): Snippet(after="print(len(cluster.nodes))", prints=r"3\n"),
    ("test-your-application.md", 0): Snippet(
        before="""logging.getLogger("aioclustersql").addHandler(logging.NullHandler())""",
        after="""
            for test in test_the_second_node_answers_while_the_first_is_silent, test_an_error_names_every_node:
                await asyncio.to_thread(test)
        """,
        prints="",
        inside=False,
    ),
    ("test-your-application.md", 1): Snippet(
        after="print(list(pytest_asyncio_loop_factories(None, None)))", prints=r"\['virtual'\]\n", inside=False
    ),
    ("long-work.md", 0): Snippet(
        after="""
            async with cluster.acquire() as conn:
                print(await conn.fetchval("SELECT count(*) FROM visits"))
        """,
        prints=r"2\n",
    ),
    ("long-work.md", 1): Snippet(after="print(rows)", prints=r"\[\]\n"),
    ("long-work.md", 2): Snippet(
        after="""
            heard = asyncio.Queue()
            listening = asyncio.create_task(listen("sales", lambda conn, pid, channel, payload: heard.put_nowait(payload)))
            async with cluster.acquire() as other:
                async def notified(payload):
                    while heard.empty():
                        await other.execute(f"NOTIFY sales, '{payload}'")
                        await asyncio.sleep(0.02)
                    while not heard.empty():
                        last = await heard.get()
                    return last
                print(await notified("one"))
                await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
                print(await notified("two"))
            listening.cancel()
            await asyncio.wait([listening])
        """,
        prints=r"one\ntwo\n",
    ),
    ("rotate-secrets.md", 0): Snippet(after="print(len(cluster.nodes))", prints=r"3\n", inside=False),
}
ON_GALERA = ("transactions.md", 3)


def code_of(page: str, number: int) -> str:
    return blocks(PAGES[page], "python")[number]


@pytest.mark.parametrize(("page", "number"), SNIPPETS)
def test_the_code_of_a_page_does_what_it_says(db_hosts: Hosts, page: str, number: int) -> None:
    snippet = SNIPPETS[page, number]
    parts = (snippet.before, code_of(page, number), snippet.after)
    assert re.fullmatch(snippet.prints, run(on(db_hosts, program(*parts, cluster=ON_DB if snippet.inside else None))))


def test_the_code_for_aiomysql_keeps_what_is_committed(maria_hosts: Hosts) -> None:
    after = """
        async with cluster.acquire() as conn, conn.cursor() as cursor:
            await cursor.execute("SET SESSION wsrep_sync_wait = 1")
            await cursor.execute("SELECT page FROM visits")
            print(await cursor.fetchall())
    """
    code = program(code_of(*ON_GALERA), after, cluster="mysql://root@maria1,maria2,maria3/shop")
    assert run(on(maria_hosts, code)) == "(('/',),)\n"


def test_no_code_is_left_untested() -> None:
    here = {name: page for name, page in PAGES.items() if page.stem not in ELSEWHERE}
    printed = {(name, number) for name, page in here.items() for number, _ in enumerate(blocks(page, "python"))}
    assert printed == {*SNIPPETS, ON_GALERA}


@pytest.mark.parametrize("page", ELSEWHERE)
def test_a_page_that_is_tested_elsewhere_is_named_there(page: str) -> None:
    assert page in (ROOT / "tests" / ELSEWHERE[page]).read_text()
