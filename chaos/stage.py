"""Plays a scene: clients at work, the acts at their times, and what is seen of both. What it means is said in `chaos.check`.

Rule: clients, proxies and gauge live in one event loop that lives for one scene; the servers live on, and are healed in between.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from chaos.bounds import Moments
from chaos.client import Client
from chaos.engine import Engine
from chaos.faults import FAULTS, UNDONE_BY, World
from chaos.gauge import Gauge, gauge
from chaos.leftovers import aborted, since, sockets
from chaos.load import Kind, Load, load
from chaos.result import Kept
from chaos.scenes import Scene
from chaos.store import Store, store_of
from chaos.wire import Wire
from tests.servers.proxy import Proxy

__all__ = ["TASKS", "Seen", "play"]

TASKS, PAUSE = 5, 0.08
"""Of a client, so many tasks that write and so many that read, and the seconds between two units of one: where each unit is a
login, a hundred of them a second have to leave the servers' cores time for the rest."""
BEFORE = 1.0
"""Seconds of load before the first act."""
_OPEN, _CLOSE = 20.0, 10.0
"""Seconds that a client may take to open, and to close before it counts as hanging."""
_SETTLE = 3.0
"""Seconds in which what was closed has to be gone from the servers and from this process."""


@dataclass(slots=True)
class Seen:
    """What there was to be seen of one scene. Moments are the loop's."""

    engine: Engine
    scene: Scene
    loads: list[Load] = field(default_factory=list)
    """In the order of the clients."""
    gauge: Gauge | None = None
    began: float = 0.0
    ended: float = 0.0
    moments: Moments = field(default_factory=lambda: Moments(0.0, 0.0, None))
    stalls: Mapping[Kind, float] = field(default_factory=dict)
    """The longest write and the longest read of the direct clients, and the longest login of the one that writes."""
    login: float = 0.0
    lag: float = 0.0
    """By how much the event loop was late, at worst."""
    found: dict[str, Counter[str]] = field(default_factory=dict)
    aborted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    closing: list[bool] = field(default_factory=list)
    """Of each client, whether its `close` did not return."""
    left: Kept = field(default_factory=lambda: Kept(0, 0, 0, closing=False, reported=()))


def play(
    engine: Engine,
    scene: Scene,
    clients: Sequence[Client],
    *,
    tasks: int = TASKS,
    before: float = BEFORE,
    wire: Wire | None = None,
    number: int = 1,
) -> Seen:
    """Play a scene for these clients, all at once, on whole servers; heal the servers afterwards. Blocks.

    `tasks`: of each client, so many that write and so many that read. `before`: seconds of load before the first act. `wire`: a
    cable for each node, which a black hole pulls; without it a proxy does it. `number`: the round; others stall other requests.
    """
    store = store_of(engine, "chaos")
    world = World(engine, wire=wire, seed=f"{scene.name}, {number}")
    if scene.synchronous:
        engine.servers.primary.set(synchronous_standby_names="2 (pg2, pg3)")
    store.create()
    try:
        with asyncio.Runner() as runner:
            return runner.run(_guarded(store, world, scene, clients, tasks, before))
    finally:
        engine.servers.heal()


async def _guarded(store: Store, world: World, scene: Scene, clients: Sequence[Client], tasks: int, before: float) -> Seen:
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(_in_words(context)))
    counted, opened = await aborted(store.engine), sockets()
    seen = await _perform(store, world, scene, clients, tasks, before)
    sessions = await _settled(store.engine.total_sessions, 0)

    async def open_now() -> int:
        return sockets() - opened

    still_open = await _settled(open_now, 0)
    gc.collect()
    seen.aborted = since(counted, await aborted(store.engine))
    seen.left = Kept(still_open, len(asyncio.all_tasks()) - 1, sessions, closing=any(seen.closing), reported=tuple(reported))
    seen.found = await store.found(*await asyncio.to_thread(_members, store.engine))
    return seen


async def _perform(store: Store, world: World, scene: Scene, clients: Sequence[Client], tasks: int, before: float) -> Seen:
    engine, loop = store.engine, asyncio.get_running_loop()
    seen = Seen(engine, scene)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(world.disperse)
        if scene.proxied:
            for node, proxy in zip(engine.nodes, _proxies(world, scene), strict=True):
                world.proxies[node.name] = await stack.enter_async_context(proxy)
        doors = {node.name: world.proxies.get(node.name, node) for node in engine.nodes}
        urls = {name: engine.user_url(door.port, door.host) for name, door in doors.items()}
        seen.gauge = world.gauge = await stack.enter_async_context(gauge(store, _witness(engine, scene)))
        for client in clients:
            async with asyncio.timeout(_OPEN):
                await client.open(urls, store.name)
            stack.push_async_callback(_close, client, seen.closing)
        async with AsyncExitStack() as running:
            for number, client in enumerate(clients):
                work = load(client, writers=tasks, readers=tasks, pause=PAUSE, name=f"{number}.")
                seen.loads.append(await running.enter_async_context(work))
            seen.began = loop.time()
            await asyncio.sleep(before)
            heartbeat = asyncio.create_task(_heartbeat(seen), name="heartbeat")
            await _act(seen, world)
            await asyncio.sleep(scene.tail)
            seen.ended = loop.time()
            heartbeat.cancel()
            hurt, ended = seen.moments.hurt, seen.ended
            seen.stalls = {each.kind: each.stall(hurt, ended) for each in (seen.gauge.writer, seen.gauge.reader)}
            seen.login = seen.gauge.writer.login(hurt, ended)
        await _let_go(engine, scene)
    return seen


def _proxies(world: World, scene: Scene) -> Iterator[Proxy]:
    """One before each node, at the end of its cable if it has one."""
    for place, node in enumerate(world.engine.nodes):
        to, source, seed = (node.host, node.port), world.engine.source, f"{world.seed}, {node.name}"
        if world.wire is None:
            yield Proxy(to, source=source, seed=seed)
        else:
            yield Proxy(to, source=source, seed=seed, host=world.wire.host(place), within=partial(world.wire.at, place))


async def _act(seen: Seen, world: World) -> None:
    """Everything that befalls the nodes."""
    loop = asyncio.get_running_loop()
    hurt = begun = loop.time()
    assert seen.gauge is not None
    for act in seen.scene.acts:
        await asyncio.sleep(max(0.0, begun + act.after - loop.time()))
        begun = loop.time()
        node = world.engine.nodes[act.on]
        if world.is_galera and act.do in UNDONE_BY and node is seen.gauge.node and act.do != "kill all":
            others = [each for place, each in enumerate(world.engine.nodes) if place != act.on]
            await seen.gauge.move(others[0])
        await FAULTS[act.do](world, node)
    seen.moments = Moments(hurt, loop.time(), world.promoted)


async def _heartbeat(seen: Seen) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + 0.01
        await asyncio.sleep(0.01)
        seen.lag = max(seen.lag, loop.time() - due)


async def _close(client: Client, hanging: list[bool]) -> None:
    task = asyncio.create_task(client.close(), name="close")
    await asyncio.wait([task], timeout=_CLOSE)
    hanging.insert(0, not task.done())  # they are closed in reverse
    if not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1.0)
    elif not task.cancelled() and (error := task.exception()) is not None:
        told = {"message": f"{client.name} did not close", "exception": error}
        asyncio.get_running_loop().call_exception_handler(told)


async def _let_go(engine: Engine, scene: Scene) -> None:
    """Thaw what is frozen, and release the commits that wait on an old primary for standbys which have left it."""
    for node in engine.nodes:
        if getattr(node, "frozen", False):
            await asyncio.to_thread(node.thaw)
    if scene.synchronous:
        await asyncio.to_thread(engine.nodes[0].set, synchronous_standby_names="")


async def _settled(count: Callable[[], Any], wanted: int) -> int:
    """What it counts at last: soon the wanted number, or too many."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SETTLE
    while (found := int(await count())) > wanted and loop.time() < deadline:
        await asyncio.sleep(0.02)
    return max(0, found - wanted)


def _witness(engine: Engine, scene: Scene) -> Any:
    """Where the gauge writes at first."""
    if engine.name == "postgres":
        return engine.nodes[0]
    well = [node for place, node in enumerate(engine.nodes) if place not in scene.hurt]
    return well[-1] if well else engine.nodes[-1]


def _members(engine: Engine) -> Sequence[Any]:
    """The nodes that make up the cluster in the end: on PostgreSQL the primary and those that follow it, not an old primary on
    its own timeline and who still listens to that one. Blocks."""
    if engine.name == "galera":
        engine.servers.heal()  # a node that was thawed may yet leave, and come back
        return engine.nodes
    primary = engine.servers.primary
    follows = f"select 1 from pg_stat_wal_receiver where sender_port = {primary.port} and status = 'streaming'"
    following = [node for node in engine.servers.standbys if node.sql(follows)]
    position = primary.value("select pg_current_wal_lsn()")
    for node in following:
        node.wait_replayed(position)
    return [primary, *following]


def _in_words(context: Mapping[str, Any]) -> str:
    return f"{context.get('message')}: {context.get('exception')!r} {context.get('future', '')}"
