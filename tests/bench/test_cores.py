"""Libraries and servers are measured on processors of their own."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.cores import apart, own_core, servers_cores

_ASK = "import os; print(*sorted(os.sched_getaffinity(0)))"


def of_a_child() -> set[int]:
    """The processors that a process has which is started now."""
    done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True)
    return set(map(int, done.stdout.split()))


def test_what_is_started_among_the_servers_stays_on_their_processors():
    before = os.sched_getaffinity(0)
    with own_core():
        mine = of_a_child()
        with servers_cores():
            theirs = of_a_child()
        assert os.sched_getaffinity(0) == mine
    assert (len(mine), mine | theirs, os.sched_getaffinity(0)) == (1, before, before)
    assert apart() == (not mine & theirs) == (len(before) > 1)
