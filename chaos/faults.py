"""What can befall a node, and what undoes it, by name: on both engines, as far as they have it.

Rule: a node that dies behind a proxy takes the proxy's port with it, as its own port would be closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from chaos.crowd import MYSQL, POSTGRES, Crowd
from chaos.engine import Engine, Galera
from chaos.gauge import Gauge
from chaos.wire import Wire
from tests.servers.proxy import Mode, Proxy

__all__ = ["FAULTS", "NETWORK", "UNDONE_BY", "World"]

_DELAY = 0.005
"""Seconds added to each way: 20 times what a question takes through an idle proxy."""


@dataclass(slots=True)
class World:
    """The servers of a scene, and what is between them and their clients."""

    engine: Engine
    proxies: dict[str, Proxy] = field(default_factory=dict)
    """By node; none where the clients come straight to the servers."""
    crowds: dict[str, Crowd] = field(default_factory=dict)
    wire: Wire | None = None
    """It is between the proxies and their clients, where there is one."""
    seed: str = ""
    """Tells which requests the proxies hold when they do."""
    gauge: Gauge | None = None
    """It goes to a promoted standby at once, and so sees what a first login there takes."""
    promoted: float | None = None
    """The loop's time at which a promoted standby was first seen to take writes."""

    @property
    def is_galera(self) -> bool:
        """Whether all nodes take writes."""
        return isinstance(self.engine, Galera)

    async def disperse(self) -> None:
        """Let no crowd outlast the scene, however that ended."""
        for crowd in self.crowds.values():
            await crowd.leave()

    async def network(self, node: Any, mode: Mode, delay: float | None = None, *, drop: bool = False) -> None:
        """Let a node's proxy behave so, if it has one; `drop` resets what is open."""
        if proxy := self.proxies.get(node.name):
            await proxy.set_mode(mode, delay)
            if drop:
                proxy.drop()


async def _kill(world: World, node: Any) -> None:
    await asyncio.to_thread(node.kill9)
    await world.network(node, "refuse")


async def _terminate(world: World, node: Any) -> None:
    await asyncio.to_thread(node.terminate if world.is_galera else node.stop)
    await world.network(node, "refuse")


async def _start(world: World, node: Any) -> None:
    await world.network(node, "ok")
    await asyncio.to_thread(node.restart if world.is_galera else node.start)


async def _freeze(world: World, node: Any) -> None:
    await asyncio.to_thread(node.freeze)


async def _thaw(world: World, node: Any) -> None:
    await asyncio.to_thread(node.thaw)


async def _black_hole(world: World, node: Any) -> None:
    if world.wire is None:
        await world.network(node, "black_hole")
    else:
        await asyncio.to_thread(world.wire.pull, world.engine.nodes.index(node))


async def _refuse(world: World, node: Any) -> None:
    await world.network(node, "refuse", drop=True)


async def _reset(world: World, node: Any) -> None:
    await world.network(node, "reset", drop=True)


async def _slow(world: World, node: Any) -> None:
    await world.network(node, "delay", _DELAY)


async def _stalls(world: World, node: Any) -> None:
    await world.network(node, "stalls")


async def _clear(world: World, node: Any) -> None:
    if world.wire is not None:
        await asyncio.to_thread(world.wire.plug, world.engine.nodes.index(node))
    await world.network(node, "ok")


async def _isolate(world: World, node: Any) -> None:
    await asyncio.to_thread(node.isolate)


async def _rejoin(world: World, node: Any) -> None:
    await asyncio.to_thread(node.rejoin)


async def _set(world: World, node: Any, name: str, value: str) -> None:
    if world.is_galera:
        await asyncio.to_thread(node.sql, f"SET GLOBAL {name} = {value}")
    else:
        await asyncio.to_thread(node.set, **{name: value})


def _setting(galera: tuple[str, str], postgres: tuple[str, str] | None = None) -> Callable[[World, Any], Awaitable[None]]:
    """Sets a variable of the server, on either engine."""

    async def change(world: World, node: Any) -> None:
        name, value = galera if world.is_galera or postgres is None else postgres
        await _set(world, node, name, value)

    return change


async def _kill_sessions(world: World, node: Any) -> None:
    if world.is_galera:
        await asyncio.to_thread(node.sql, MYSQL.kill)
    else:
        await asyncio.to_thread(node.sql, POSTGRES.kill, database="template1")


async def _exhaust(world: World, node: Any) -> None:
    world.crowds[node.name] = Crowd(node, mysql=world.is_galera)
    await world.crowds[node.name].come()


async def _release(world: World, node: Any) -> None:
    await world.crowds.pop(node.name).leave()


async def _promote(world: World, node: Any) -> None:
    """A client of its own sees when it first takes writes."""
    loop = asyncio.get_running_loop()
    conn = await asyncpg.connect(node.dsn(database="template1"), timeout=5.0)
    try:
        promotion = asyncio.create_task(asyncio.to_thread(node.promote))
        while await conn.fetchval("select pg_is_in_recovery()"):
            await asyncio.sleep(0.002)
        world.promoted = loop.time()
        if world.gauge is not None:
            await world.gauge.move(node)
        await promotion
    finally:
        await conn.close(timeout=5.0)


async def _pause(world: World, node: Any) -> None:
    await asyncio.sleep(0.5)


async def _kill_all(world: World, node: Any) -> None:
    if world.is_galera:  # else each of them loses the last second of what it has acknowledged
        await asyncio.gather(*(_set(world, each, "innodb_flush_log_at_trx_commit", "2") for each in world.engine.nodes))
        await asyncio.sleep(0.05)
    await asyncio.gather(*(_kill(world, each) for each in world.engine.nodes))


async def _start_all(world: World, node: Any) -> None:
    for each in world.engine.nodes:
        await world.network(each, "ok")
    await asyncio.to_thread(world.engine.servers.restart_all)


FAULTS: Mapping[str, Callable[[World, Any], Awaitable[None]]] = {
    "kill": _kill,
    "terminate": _terminate,
    "start": _start,
    "freeze": _freeze,
    "thaw": _thaw,
    "black hole": _black_hole,
    "refuse": _refuse,
    "reset": _reset,
    "slow": _slow,
    "stalls": _stalls,
    "clear": _clear,
    "isolate": _isolate,
    "rejoin": _rejoin,
    "desync": _setting(("wsrep_desync", "ON")),
    "resync": _setting(("wsrep_desync", "OFF")),
    "reject queries": _setting(("wsrep_reject_queries", "ALL")),
    "accept queries": _setting(("wsrep_reject_queries", "NONE")),
    "read only": _setting(("read_only", "1"), ("default_transaction_read_only", "on")),
    "read write": _setting(("read_only", "0"), ("default_transaction_read_only", "off")),
    "kill sessions": _kill_sessions,
    "exhaust": _exhaust,
    "release": _release,
    "promote": _promote,
    "pause": _pause,
    "kill all": _kill_all,
    "start all": _start_all,
}
NETWORK = frozenset({"black hole", "refuse", "reset", "slow", "stalls"})
"""The faults that take a proxy."""

UNDONE_BY: Mapping[str, str] = {
    "kill": "start",
    "terminate": "start",
    "freeze": "thaw",
    **dict.fromkeys(NETWORK, "clear"),
    "isolate": "rejoin",
    "desync": "resync",
    "reject queries": "accept queries",
    "read only": "read write",
    "exhaust": "release",
    "kill all": "start all",
}
"""What heals what."""
