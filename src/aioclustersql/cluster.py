"""Cluster: the façade, wiring only. What it does is in `runtime`, what it decides in `policy`."""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from . import drivers
from .drivers.base import Driver
from .errors import ConfigError, UnknownNode
from .events import Listener
from .inventory import Nodes, read_nodes
from .node import Node, Target, Wants
from .runtime.bus import Bus
from .runtime.choice import Stagger
from .runtime.engine import Engine
from .runtime.registry import Registry
from .runtime.snapshot import cluster_stats
from .settings import ClusterSettings, count, flag, lag, limits, read_settings, seconds
from .stats import ClusterStats
from .view import ClusterView, Defaults

__all__ = ["Cluster"]

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from .settings import Aiomysql, Aiosqlite, Asyncmy, Asyncpg, Psycopg

    C = TypeVar("C", default=Any)
else:
    from typing import TypeVar

    C = TypeVar("C")


class Cluster(ClusterView[C]):
    """The nodes of a replicated database, and the way to the one to talk to now.

    `C` is the class of the driver's native connections. Making one does no I/O: a module-level cluster is fine.

    nodes: a URL whose comma-separated hosts are the nodes ("postgresql://app@db1,db2/shop"; they are named host:port), a
        mapping of names to URLs, or `Node` values. More with `add_node`.
    driver: "aiomysql", "aiosqlite", "asyncmy", "asyncpg", "psycopg", or an object that is a `Driver`; may be left out where the
        URLs tell it.
    name: for messages, logs and statistics.
    target: which node is wanted, in libpq's words; "read-write" by default.
    writers: on Galera, how many nodes take the `read-write` work; None: all of them.
    max_lag, max_lag_bytes: how far behind a standby may be, in seconds and bytes; None: however far.
    stagger: "auto" (the race of the explanation page), or 0: every connect logs in on every node at once.
    connect_timeout: seconds for one connect, over everything from name resolution to `init`.
    connect_options: for the driver's own connect, on every node.
    init: awaited with every new connection before it is handed out, within the time-out.
    reset: awaited with every connection that comes back to the pool, after the driver's own reset. False: nothing is reset, but
        that a transaction is rolled back.
    min_size, max_size: pooled connections per node. max_total: over all nodes; None: no bound.
    max_waiting: callers that may wait for a connection at once; 0: any number.
    max_lifetime, max_idle_time: seconds after which a pooled connection is replaced, and closed when nobody used it.
    acquire_timeout: seconds to wait for a pooled connection.
    run_timeout, attempts: seconds for one `run` over all its tries, and how many tries those may be.
    close_timeout: seconds that closing may take, of the cluster or of a connection.
    monitor_interval: seconds from one look at a node to the next; None: no monitor. monitor_timeout: how long a look may take.
    monitor_interrupt: whether connections of a node that falls silent are cut, so that their queries fail at once.
    debug: note where leases were taken and returned, and report those held for more than a minute.

    Raises `ConfigError` for what is wrong, by name.
    """

    # By the name of a driver a type checker knows the class of its connections.
    # fmt: off
    @overload
    def __init__(self: Cluster[Aiomysql], nodes: Nodes = ..., *, driver: Literal["aiomysql"],
        **settings: Unpack[ClusterSettings[Aiomysql]]) -> None: ...
    @overload
    def __init__(self: Cluster[Aiosqlite], nodes: Nodes = ..., *, driver: Literal["aiosqlite"],
        **settings: Unpack[ClusterSettings[Aiosqlite]]) -> None: ...
    @overload
    def __init__(self: Cluster[Asyncmy], nodes: Nodes = ..., *, driver: Literal["asyncmy"],
        **settings: Unpack[ClusterSettings[Asyncmy]]) -> None: ...
    @overload
    def __init__(self: Cluster[Asyncpg], nodes: Nodes = ..., *, driver: Literal["asyncpg"],
        **settings: Unpack[ClusterSettings[Asyncpg]]) -> None: ...
    @overload
    def __init__(self: Cluster[Psycopg], nodes: Nodes = ..., *, driver: Literal["psycopg"],
        **settings: Unpack[ClusterSettings[Psycopg]]) -> None: ...
    @overload
    def __init__(self, nodes: Nodes = ..., *, driver: Driver[C],
        **settings: Unpack[ClusterSettings[C]]) -> None: ...
    @overload
    def __init__(self: Cluster[Any], nodes: Nodes = ..., *, driver: str | None = ...,
        **settings: Unpack[ClusterSettings[Any]]) -> None: ...
    # fmt: on

    def __init__(
        self,
        nodes: Nodes = (),
        *,
        driver: str | Driver[C] | None = None,
        name: str = "cluster",
        target: str = "read-write",
        writers: int | None = None,
        max_lag: float | None = None,
        max_lag_bytes: float | None = None,
        stagger: Stagger = "auto",
        connect_timeout: float = 10.0,
        connect_options: Mapping[str, Any] | None = None,
        init: Callable[[Any], Awaitable[object]] | None = None,
        reset: Callable[[Any], Awaitable[object]] | bool | None = None,
        min_size: int = 0,
        max_size: int = 10,
        max_total: int | None = None,
        max_waiting: int = 0,
        max_lifetime: float = 3600.0,
        max_idle_time: float = 600.0,
        acquire_timeout: float = 30.0,
        run_timeout: float = 30.0,
        attempts: int = 5,
        close_timeout: float = 5.0,
        monitor_interval: float | None = 1.0,
        monitor_timeout: float = 0.5,
        monitor_interrupt: bool = True,
        debug: bool = False,
    ) -> None:
        inventory = read_nodes(nodes)
        wanted = Target.parse(target)
        if inventory.target is not None:
            if wanted not in (Target.READ_WRITE, inventory.target):
                raise ConfigError(f"target={target!r} contradicts the URL's target_session_attrs={inventory.target!r}")
            wanted = inventory.target
        login_limit = seconds(connect_timeout, 10.0, "connect_timeout")
        settings = read_settings(
            target=wanted,
            stagger=stagger,
            connect_timeout=login_limit,
            init=init,
            reset=reset,
            sizes=limits(min_size, max_size, max_total, max_lifetime, max_idle_time),
            max_waiting=max_waiting,
            close_timeout=close_timeout,
            monitor_interval=monitor_interval,
            monitor_timeout=monitor_timeout,
            debug=debug,
        )
        defaults = Defaults(
            Wants(wanted, lag(max_lag, math.inf, "max_lag"), lag(max_lag_bytes, math.inf, "max_lag_bytes")),
            login_limit,
            seconds(acquire_timeout, 30.0, "acquire_timeout"),
            seconds(run_timeout, 30.0, "run_timeout"),
            count(attempts, 1, "attempts"),
            interrupt=flag(monitor_interrupt, "monitor_interrupt"),
        )
        self._name = name
        self._created = datetime.now(UTC)
        self._connect_options = MappingProxyType(dict(connect_options or {}))
        self._bus = Bus(name)
        self._registry: Registry[C] = Registry(
            name,
            drivers.by_name(driver) if isinstance(driver, str) else drivers.checked(driver),
            self._bus,
            writers=None if writers is None else count(writers, 1, "writers"),
        )
        super().__init__(Engine(self._registry, settings), defaults)
        for node in inventory.nodes:
            self._add(node)

    @classmethod
    def from_config(cls, path: str | os.PathLike[str] | None = None, **overrides: Any) -> Cluster[Any]:
        """A cluster out of a config.toml: `path`, else the file that $DBCONFIG names, else ./config.toml.

        `overrides` are keywords of `Cluster` and win over the file. Raises `ConfigError` with everything that is wrong.
        """
        from .config import load  # pydantic is imported only by those who read a file

        settings = load(path)
        return cls(**{"nodes": settings.nodes, **settings.options, **overrides})

    def __repr__(self) -> str:
        state = "open" if self._engine.is_open else "not open"
        nodes = ", ".join(
            f"{member.name} {member.breaker.health}" for member in sorted(self._registry.members, key=lambda m: m.name)
        )
        driver = self._registry.driver.name if self._registry.has_driver else "no driver"
        return f"<Cluster {self._name!r} ({driver}, {state}): {nodes or 'no node'}>"

    @property
    def name(self) -> str:
        """As given."""
        return self._name

    @property
    def nodes(self) -> tuple[str, ...]:
        """The registered names, sorted."""
        return self._registry.names()

    def add_node(self, name: str, dsn: str, *, weight: float = 1.0, connect_options: Mapping[str, Any] | None = None) -> None:
        """Register a node; it takes part from the next connect on. Safe while connects run.

        `weight` scales its share. `connect_options` go over the cluster's. Raises `ConfigError`, also for a name in use.
        """
        self._add(Node(name, dsn, weight, connect_options or {}))

    def update_node(
        self,
        name: str,
        dsn: str | None = None,
        *,
        weight: float | None = None,
        connect_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Change a node for its future logins; what is left out stays. With another address its history starts afresh.

        Raises `UnknownNode` or `ConfigError`; then nothing has changed.
        """
        old = self._registry.get(name).node
        node = Node(
            name,
            old.dsn if dsn is None else dsn,
            old.weight if weight is None else weight,
            old.connect_options if connect_options is None else connect_options,
        )
        self._registry.update(node, self._endpoint(node))

    def remove_node(self, name: str) -> None:
        """Forget a node at once. Logins pending on it complete and are closed; connections handed out stay their users'.

        Raises `UnknownNode`.
        """
        self._registry.remove(name)

    def node_of(self, conn: object) -> str:
        """The name of the node that a connection of this cluster is on; proxies of pools are looked through.

        Raises `UnknownNode` (a `LookupError`) for a stranger.
        """
        native = getattr(conn, "driver_connection", conn)
        if self._registry.has_driver:
            native = self._registry.driver.unwrap(native)
        for member in self._registry.members:
            if member.issued(native):
                return member.name
        raise UnknownNode(f"cluster {self._name!r} did not open this connection: {type(conn).__name__}")

    async def drain_node(self, name: str, *, timeout: float | None = None) -> int:
        """Send nobody to a node any more, and wait until its connections are given back; it stays registered.

        After `timeout` seconds (None: without end) those that are left are cut. Returns how many those were. A `NodeDraining`
        event tells long holders at once. Raises `UnknownNode`.
        """
        return await self._engine.drain(name, seconds(timeout, math.inf, "timeout"))

    def resume_node(self, name: str) -> None:
        """Use a drained node again. Raises `UnknownNode`."""
        self._registry.drain(name, draining=False)

    async def wait_ready(self, *, nodes: int = 1, target: str | None = None, timeout: float | None = None) -> None:
        """Wait until so many nodes serve `target`; None is the cluster's own, and its `acquire_timeout`.

        Raises `ReadyTimeout`, which says what each node is.
        """
        limit = seconds(timeout, self._defaults.acquire_timeout, "timeout")
        await self._engine.wait_ready(count(nodes, 1, "nodes"), self._wants(target, None, None), limit)

    def is_ready(self, *, nodes: int = 1, target: str | None = None) -> bool:
        """Whether so many nodes are known to serve `target`. Asks nobody; may be called from any thread."""
        return len(self._engine.ready(self._wants(target, None, None))) >= nodes

    async def resize(self, *, min_size: int | None = None, max_size: int | None = None, max_total: int | None = None) -> None:
        """Other sizes of the pool from now on; what is left out stays. What is leased and too much is closed on its return."""
        old = self._engine.limits
        total = None if old.max_total == math.inf else int(old.max_total)
        self._engine.resize(
            limits(
                old.min_size if min_size is None else min_size,
                old.max_size if max_size is None else max_size,
                total if max_total is None else max_total,
                old.max_lifetime,
                old.max_idle_time,
            )
        )

    def expire(self, node: str | None = None) -> None:
        """Replace the pooled connections, of one node or of all: idle ones now, leased ones when they come back."""
        if node is not None:
            self._registry.get(node)
        self._engine.pool_here().expire(node)

    async def open(self) -> None:
        """Use the cluster in this event loop until `close`. Never waits for a server, never fails because one is down."""
        await self._engine.open()

    async def close(self, timeout: float | None = None) -> None:
        """Let leases end within `timeout` seconds (None: `close_timeout`), then cut them; end what is under way.

        Callers who wait get `NotOpen`, lost logins end with a goodbye. Afterwards no task, socket or timer is left, but for
        connections that `connect` handed out; the cluster may be opened again, in another loop too.
        """
        await self._engine.close(seconds(timeout, self._engine.settings.close_timeout, "timeout"))

    async def __aenter__(self) -> Cluster[C]:
        await self.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def stats(self) -> ClusterStats:
        """What the cluster knows now, frozen. May be called from any thread."""
        return cluster_stats(self._engine, self._created, self.target)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(event)` with everything that happens (see `aioclustersql.events`). Returns what unsubscribes it."""
        return self._bus.subscribe(listener)

    def _add(self, node: Node) -> None:
        self._registry.add(node, self._endpoint(node))

    def _endpoint(self, node: Node) -> drivers.base.Endpoint:
        if not self._registry.has_driver:
            self._registry.driver = drivers.for_url(node.dsn)
        try:
            return self._registry.driver.parse(node.dsn, {**self._connect_options, **node.connect_options})
        except ConfigError as exc:
            raise ConfigError(f"node {node.name!r}: {exc}") from None
