"""Small things that `check` and `bench` read or reckon."""

from __future__ import annotations

import asyncio
import random

import pytest

from aioclustersql.cli.bench.spread import Spread
from aioclustersql.cli.check.mysql import evs_timeouts
from aioclustersql.cli.check.session import UnknownDriver, session
from aioclustersql.cli.check.uncut import PATIENCE, uncut
from aioclustersql.cli.running import printable


def test_the_time_outs_of_galera_are_read_as_seconds() -> None:
    options = "base_port = 4567; evs.suspect_timeout = PT5S; evs.inactive_timeout = PT1M15.5S; evs.version = 1; gcache.size = 8M"
    assert evs_timeouts(options) == {"suspect_timeout": 5.0, "inactive_timeout": 75.5}


def test_a_percentile_is_off_by_five_percent_at_most() -> None:
    rng = random.Random(1)
    samples = sorted(rng.lognormvariate(-6, 1) for _ in range(5000))
    spread = Spread()
    for sample in samples:
        spread.add(sample)
    for percent in (50.0, 90.0, 99.0, 99.9):
        exact = samples[-(-len(samples) * int(percent * 10) // 1000) - 1]
        assert exact <= spread.percentile(percent) <= 1.05 * exact
    assert spread.percentile(100.0) == samples[-1]


def test_a_histogram_has_every_sample_in_few_rows() -> None:
    spread = Spread()
    for sample in (0.0, 0.001, 0.002, 0.5, 1e9):
        spread.add(sample)
    rows = spread.rows(most=6)
    assert len(rows) <= 6
    assert sum(count for *_, count in rows) == spread.count == 5
    assert [start for start, *_ in rows[1:]] == [end for _, end, _ in rows[:-1]]


def test_a_spread_without_a_sample_says_so() -> None:
    assert Spread().as_dict() == {"count": 0}
    assert Spread().rows() == []


def test_a_connection_of_an_unknown_driver_is_refused_by_name() -> None:
    with pytest.raises(UnknownDriver, match="builtins"):
        session(object())


def test_what_a_server_writes_moves_no_cursor() -> None:
    assert printable("it\x1b[2Jsaid\nso\x07") == "it\N{REPLACEMENT CHARACTER}[2Jsaid so\N{REPLACEMENT CHARACTER}"


async def test_a_cancelled_statement_is_waited_for() -> None:
    ended = []

    async def statement() -> None:
        await asyncio.sleep(1.0)
        ended.append(asyncio.get_running_loop().time())

    began = asyncio.get_running_loop().time()
    task = asyncio.create_task(uncut(statement()))
    await asyncio.sleep(0.25)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [began + 1.0]


async def test_a_cancelled_statement_that_never_ends_is_given_up() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    task = asyncio.create_task(uncut(asyncio.sleep(3600)))
    await asyncio.sleep(0.25)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop.time() == began + 0.25 + PATIENCE
