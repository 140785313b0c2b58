"""How long an application waits for its first usable connection when the first of its three hosts is ill.

Everybody starts anew each time and knows nothing. Nobody is waited for beyond a bound: who has no connection by then is shown as
"> bound", who raises by the error's name, and neither is asked again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from bench.context import Context
from bench.faults import Fault, Proxies, open_proxies
from bench.peers import Connector, Ours, OursPooled, Raw, address, peers, with_port
from bench.result import Cell, Outcome, Table, Target, at_most, remarks
from bench.stands import Stand
from tests.servers.proxy import Mode

__all__ = ["measure"]

_FAULTS: Mapping[str, Mode] = {"none": "ok", "refused": "refuse", "silent": "hang", "black-holed": "backlog"}
_LATE = 0.05
"""Beyond a login, for the first connection of a cold cluster."""


@dataclass
class _Tries:
    """Seconds of each try, or why there are none."""

    times: list[float] = field(default_factory=list)
    failure: str = ""

    def __str__(self) -> str:
        return self.failure or f"{1e3 * median(self.times):.1f} ms"


_OURS = "aioclustersql, connect"
_HEAD = ("driver", "first host", "library", "median ms", "slowest ms", "times")
_REASONS = {"": "a cold cluster asks all its nodes at once, and the logins that lose share the loop with the one that wins"}


def measure(context: Context) -> Outcome:
    """The row."""
    outcome = Outcome("first", "First usable connection with an ill first host")
    bound, rounds = (0.5, 1) if context.quick else (10.0, 15)
    rows = []
    for driver in context.drivers:
        found = context.run(_measure(context.stand(driver), rounds, bound))
        for fault, libraries in found.items():
            rows += [_row(driver, fault, library, tries) for library, tries in libraries.items()]
            said = ", ".join(f"{name} {tries}" for name, tries in libraries.items())
            context.say(f"{driver}, first host {fault}: {said}")
            outcome.targets += _targets(driver, fault, libraries)
            others = {name: median(tries.times) for name, tries in libraries.items() if not (tries.failure or _is_ours(name))}
            outcome.remarks += remarks(f"{driver}, first host {fault}", median(libraries[_OURS].times), others, _REASONS)
    note = (
        f"Cold: each library is made anew for each try, with its defaults, over the same three hosts; nobody is waited for "
        f"longer than {bound:g} s. *login*: the raw driver's, to a healthy host. "
        "Silent: accepts and never speaks; black-holed: no answer to a SYN."
    )
    outcome.tables = [Table("Until the first connection", _HEAD, rows, note)]
    return outcome


async def _measure(stand: Stand, rounds: int, bound: float) -> dict[str, dict[str, _Tries]]:
    """Seconds, by fault and library; no seconds at all for one that took too long."""
    urls = [stand.url(number) for number in range(3)]
    found: dict[str, dict[str, _Tries]] = {}
    async with open_proxies([Fault(*address(urls[0]))]) as proxies:
        urls[0] = with_port(urls[0], proxies.ports[0])
        for fault, mode in _FAULTS.items():
            await proxies.set_mode(0, mode)
            found[fault] = await _with_fault(stand.driver, urls, rounds, bound)
            await _back(proxies)
    return found


async def _with_fault(driver: str, urls: Sequence[str], rounds: int, bound: float) -> dict[str, _Tries]:
    makers = _makers(driver, urls)
    found: dict[str, _Tries] = {name: _Tries() for name in makers}
    for _ in range(rounds):
        for name, make in makers.items():
            if found[name].failure:
                continue
            try:
                found[name].times.append(await _one(make(), bound))
            except TimeoutError:
                found[name].failure = f"> {1e3 * bound:,.0f} ms"
            except Exception as exc:  # an error of a peer is its result, not ours
                if _is_ours(name):
                    raise
                found[name].failure = type(exc).__name__
    return found


def _makers(driver: str, urls: Sequence[str]) -> dict[str, Callable[[], Connector]]:
    made: dict[str, Callable[[], Connector]] = {
        "login": lambda: Raw(urls[1:]),
        _OURS: lambda: Ours(urls),
        "aioclustersql, open + acquire": lambda: OursPooled(urls),
    }
    for index, peer in enumerate(peers(driver, urls, pooled=True)):
        made[peer.name] = partial(_peer, driver, urls, index)
    return made


def _peer(driver: str, urls: Sequence[str], index: int) -> Connector:
    return peers(driver, urls, pooled=True)[index]


async def _one(way: Connector, bound: float) -> float:
    """Seconds until a connection that is usable. Raises `TimeoutError` when the bound comes first."""
    began = time.perf_counter()
    connecting = asyncio.create_task(_coroutine(way.connect()))
    await asyncio.wait([connecting], timeout=bound)
    seconds = time.perf_counter() - began
    try:
        if not connecting.done():
            connecting.cancel()
            await asyncio.wait([connecting], timeout=5)
            raise TimeoutError
        await way.goodbye(connecting.result())
    finally:
        await asyncio.wait([asyncio.create_task(way.close())], timeout=10)
    return seconds


async def _coroutine(awaitable: Any) -> Any:
    return await awaitable


async def _back(proxies: Proxies) -> None:
    """To health, so that what still hangs there ends before the next fault."""
    await proxies.set_mode(0, "ok")
    await asyncio.sleep(0.2)


def _is_ours(name: str) -> bool:
    return name == "login" or name.startswith("aioclustersql")


def _row(driver: str, fault: str, library: str, tries: _Tries) -> list[Cell]:
    figures = (tries.failure, tries.failure) if tries.failure else (1e3 * median(tries.times), 1e3 * max(tries.times))
    return [driver, fault, library, *figures, len(tries.times) + bool(tries.failure)]


def _targets(driver: str, fault: str, libraries: Mapping[str, _Tries]) -> list[Target]:
    if fault == "none":
        return []
    limit = 1e3 * (median(libraries["login"].times) + _LATE)
    ours = libraries[_OURS]
    got = float("inf") if ours.failure else 1e3 * median(ours.times)
    return [at_most(f"{driver}, first host {fault}: login + 50 ms", round(got, 1), round(limit, 1), " ms")]
