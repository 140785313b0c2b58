"""A cluster that is in use when its process forks, or when its event loop ends. Each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.real_time

_START = """
import asyncio, os, sys
from aioclustersql import Cluster, WrongLoop
from aioclustersql.testing import FakeDriver

cluster = Cluster({"a": "fake://app@a/test"}, driver=FakeDriver("a"), name="shop", monitor_interval=0.05)

async def refused(call):
    try:
        await call()
    except WrongLoop as exc:
        print(exc, flush=True)
"""


def told(code: str, *options: str) -> tuple[int, list[str], list[str]]:
    """How a program ends and what it writes, on both ways."""
    command = [sys.executable, *options, "-c", _START + textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_a_cluster_in_use_is_refused_in_a_forked_child_and_goes_on_in_the_parent():
    code, said, errors = told("""
        async def main():
            async with cluster, cluster.acquire():
                if (pid := os.fork()) == 0:
                    for call in (cluster.acquire, cluster.connect, cluster.open, cluster.close, lambda: cluster.run(print)):
                        asyncio.run(refused(call))
                    os._exit(cluster.is_ready())
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                async with cluster.acquire() as conn:
                    print(cluster.node_of(conn))
        asyncio.run(main())
    """)
    assert (code, errors) == (0, [])
    *refusals, ended, node = said
    assert (len(refusals), ended in ("0", "1"), node) == (5, True, "a")
    for each in refusals:
        assert each.startswith("cluster 'shop' was in use when this process (")
        assert each.endswith("make a cluster in the child, or fork before the first use")


def test_a_cluster_that_was_not_used_yet_or_is_closed_may_be_used_in_a_forked_child():
    code, said, errors = told("""
        async def use():
            async with cluster, cluster.acquire() as conn:
                print(cluster.node_of(conn), flush=True)

        for _ in range(2):
            if (pid := os.fork()) == 0:
                asyncio.run(use())
                os._exit(0)
            os.waitpid(pid, 0)
            asyncio.run(use())
    """)
    assert (code, said, errors) == (0, ["a"] * 4, [])


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_loop_that_ends_without_close_says_so_once_and_does_not_hang(loop: str):
    code, said, errors = told(
        f"""
        import {loop}

        async def main():
            await cluster.open()
            async with cluster.acquire(): pass
            await cluster.acquire()  # and never given back
            asyncio.create_task(cluster.run(lambda conn: asyncio.sleep(3600)))
            await asyncio.sleep(0.1)
            print("over")

        with asyncio.Runner(loop_factory={loop}.new_event_loop) as runner:
            runner.run(main())
        """,
        *("-W", "always"),
    )
    assert (code, said) == (0, ["over"])
    assert [line for line in errors if "Warning" in line] == [
        line for line in errors if "RuntimeWarning: cluster 'shop' was" in line
    ]
    assert len([line for line in errors if "Warning" in line]) == 1, errors
    assert not [line for line in errors if "Traceback" in line], errors


def test_a_cluster_left_by_one_loop_may_be_opened_in_the_next():
    code, said, errors = told("""
        async def main():
            await cluster.open()
            async with cluster.acquire() as conn:
                print(cluster.node_of(conn))

        for _ in range(2):
            asyncio.run(main())
    """)
    assert (code, said) == (0, ["a", "a"])
    assert len([line for line in errors if "was not closed before its event loop ended" in line]) in (1, 2)
