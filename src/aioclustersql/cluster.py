"""Cluster: the façade, wiring only. What it does is in `runtime`, what it decides in `policy`."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Generic

from . import drivers
from .connecting import Connecting
from .drivers.base import Driver
from .errors import ConfigError, UnknownNode
from .events import Listener
from .inventory import Nodes, read_nodes
from .node import Node, Target
from .runtime.bus import Bus
from .runtime.choice import Stagger
from .runtime.connector import Connector
from .runtime.disposal import Disposal
from .runtime.monitor import Monitor
from .runtime.registry import Registry
from .runtime.snapshot import node_stats
from .stats import ClusterStats
from .view import ClusterView, Defaults, seconds

__all__ = ["Cluster", "connect"]

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    C = TypeVar("C", default=Any)
else:
    from typing import TypeVar

    C = TypeVar("C")


class Cluster(Generic[C]):
    """The nodes of a replicated database, and the way to the one to talk to now.

    `C` is the class of the driver's native connections. Making one does no I/O: a module-level cluster is fine.

    nodes: a URL whose comma-separated hosts are the nodes ("postgresql://app@db1,db2/shop"; they are named host:port), a
        mapping of names to URLs, or `Node` values. More with `add_node`.
    driver: "aiomysql", "asyncpg", or an object that is a `Driver`; may be left out where the URLs tell it.
    name: for messages, logs and statistics.
    target: which node is wanted, in libpq's words; "read-write" by default.
    stagger: "auto" (the race of the explanation page), or 0: every connect logs in on every node at once.
    connect_timeout: seconds for one connect, over everything from name resolution to `init`; 10 by default.
    connect_options: for the driver's own connect, on every node.
    init: awaited with every new connection before it is handed out, within the time-out.
    close_timeout: seconds that closing may take, of the cluster or of a connection; 5 by default.

    Raises `ConfigError` for what is wrong, by name.
    """

    def __init__(
        self,
        nodes: Nodes = (),
        *,
        driver: str | Driver[C] | None = None,
        name: str = "cluster",
        target: str = "read-write",
        stagger: Stagger = "auto",
        connect_timeout: float = 10.0,
        connect_options: Mapping[str, Any] | None = None,
        init: Callable[[C], Awaitable[object]] | None = None,
        close_timeout: float = 5.0,
        writers: int | None = None,
        monitor_interval: float | None = 1.0,
        monitor_timeout: float = 0.5,
        monitor_interrupt: bool = True,
    ) -> None:
        if stagger != "auto" and (isinstance(stagger, bool) or stagger != 0):
            raise ConfigError(f"stagger is 'auto' or 0, not {stagger!r}")
        if init is not None and not callable(init):
            raise ConfigError(f"init is an async function that takes a connection, not {init!r}")
        inventory = read_nodes(nodes)
        wanted = Target.parse(target)
        if inventory.target is not None:
            if wanted not in (Target.READ_WRITE, inventory.target):
                raise ConfigError(f"target={target!r} contradicts the URL's target_session_attrs={inventory.target!r}")
            wanted = inventory.target
        self._name = name
        self._created = datetime.now(UTC)
        self._connect_options = MappingProxyType(dict(connect_options or {}))
        self._bus = Bus(name)
        self._registry: Registry[C] = Registry(
            name,
            drivers.by_name(driver) if isinstance(driver, str) else drivers.checked(driver),
            self._bus,
            writers=writers,
        )
        self._connector: Connector[C] = Connector(self._registry, stagger=stagger, init=init)
        self._monitor: Monitor[C] | None = None
        if monitor_interval is not None:
            self._monitor = Monitor(
                self._registry,
                Disposal(name),
                interval=monitor_interval,
                timeout=monitor_timeout,
                interrupt=monitor_interrupt,
                target=wanted,
            )
        self._is_open = False
        self._close_timeout = seconds(close_timeout, 5.0, "close_timeout")
        limit = seconds(connect_timeout, 10.0, "connect_timeout")
        self._view = ClusterView(self._connector, Defaults(wanted, limit), self._close_timeout, lambda: self._is_open)
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
        state = "open" if self._is_open else "not open"
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

    def with_options(
        self, *, target: str | None = None, timeout: float | None = None, wait: bool | None = None
    ) -> ClusterView[C]:
        """The same cluster with other defaults, such as `reader = cluster.with_options(target="prefer-standby")`."""
        return self._view.with_options(target=target, timeout=timeout, wait=wait)

    def connect(
        self,
        dsn: str | None = None,
        *,
        target: str | None = None,
        timeout: float | None = None,
        wait: bool | None = None,
        **connect_options: Any,
    ) -> Connecting[C]:
        """Open a connection to the first fit node: await it, or enter it to have it closed at the end.

        It costs a login (0.7 ms on MariaDB, 4-7 ms on PostgreSQL). The connection is the driver's own and the caller's to close.
        Works on a cluster that is not open, too.

        target: for this connect, in libpq's words.
        timeout: seconds over all; None is the cluster's `connect_timeout`, `math.inf` no limit.
        wait: race again, with pauses, until the time-out, instead of raising when every node failed; errors that time does not
            heal (a wrong password) are raised at once all the same.
        connect_options: for the driver's connect, over the node's. An address or a user is refused by name.

        dsn: None, which pools pass; an address is refused.

        Takes what pools hand to a connection factory: `asyncpg.create_pool(connect=cluster.connect)`, and SQLAlchemy's
        `create_async_engine(..., async_creator=cluster.connect)`.

        Raises `NoNodeAvailable`, `AllNodesFailed`, `ConnectTimeout`, `ConfigError`, `NotOpen`, `WrongLoop`.
        """
        return self._view.connect(dsn, target=target, timeout=timeout, wait=wait, **connect_options)

    async def open(self) -> None:
        """Use the cluster in this event loop until `close`. Never waits for a server, never fails because one is down."""
        loop = self._connector.bind(in_use=self._is_open).get_loop()
        self._is_open = True
        if self._monitor is not None:
            self._monitor.start(loop)

    async def close(self, timeout: float | None = None) -> None:
        """End what is under way: callers get `NotOpen`, lost logins end with a goodbye. Takes `timeout` seconds at most.

        Afterwards no task, socket or timer is left, but for connections that `connect` handed out; it may be opened again.
        """
        if self._monitor is not None:
            await self._monitor.stop()
        await self._connector.close(seconds(timeout, self._close_timeout, "timeout"), in_use=self._is_open)
        self._is_open = False

    async def __aenter__(self) -> Cluster[C]:
        await self.open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def stats(self) -> ClusterStats:
        """What the cluster knows now, frozen. May be called from any thread."""
        now = self._connector.now
        return ClusterStats(
            name=self._name,
            driver=self._registry.driver.name if self._registry.has_driver else None,
            target=self._view.target,
            open=self._is_open,
            first_instantiated=self._created,
            hedge_tokens=self._connector.hedge_tokens,
            nodes={member.name: node_stats(member, now) for member in self._registry.members},
        )

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


def connect(
    nodes: Nodes,
    *,
    driver: str | Driver[C] | None = None,
    target: str = "read-write",
    timeout: float | None = None,
    wait: bool = False,
    **connect_options: Any,
) -> Connecting[C]:
    """A script's one-liner: one connection to the first fit of some nodes, without keeping a cluster.

        async with aioclustersql.connect("postgresql://app@db1,db2,db3/shop") as conn: ...

    Entered, everything is closed at the end; awaited, the connection is the caller's. Arguments as `Cluster` and its `connect`.
    """
    cluster: Cluster[C] = Cluster(nodes, driver=driver, name="connect", target=target, connect_options=connect_options)

    async def open_() -> C:
        return await cluster.connect(timeout=timeout, wait=wait)

    async def close(conn: C) -> None:
        try:
            await cluster._view.close(conn)
        finally:
            await cluster.close()

    return Connecting(open_, close)
