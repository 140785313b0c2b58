"""A cluster asked for connections, with defaults: `Cluster` is one, `with_options` makes others. All state is the engine's."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, TypeVarTuple

from .errors import ConfigError
from .node import Target, Wants
from .opening import Acquiring, Connecting, TracedAcquiring, traced_connect
from .runtime.beginning import make_request
from .runtime.engine import Engine
from .runtime.transacting import Transacting
from .runtime.work import RunRequest
from .settings import flag, lag, seconds

__all__ = ["ClusterView", "Defaults"]

C = TypeVar("C")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a call uses when it does not say. Seconds; `timeout` goes over the three that follow."""

    wants: Wants
    connect_timeout: float
    acquire_timeout: float
    run_timeout: float
    attempts: int
    timeout: float | None = None
    wait: bool = False
    interrupt: bool = True


class ClusterView(Generic[C]):
    """The same cluster, asked with other defaults."""

    def __init__(self, engine: Engine[C], defaults: Defaults) -> None:
        self._engine = engine
        self._defaults = defaults
        own = defaults.timeout
        self._connect_timeout = defaults.connect_timeout if own is None else own
        self._acquire_timeout = defaults.acquire_timeout if own is None else own
        self._run_timeout = defaults.run_timeout if own is None else own

    @property
    def target(self) -> Target:
        """The default target."""
        return self._defaults.wants.target

    def __repr__(self) -> str:
        own, wants = self._defaults, self._defaults.wants
        said = [f"target={wants.target}"]
        if own.timeout is not None:
            said.append(f"timeout={own.timeout:g}")
        if wants.max_lag != math.inf:
            said.append(f"max_lag={wants.max_lag:g}")
        if wants.max_lag_bytes != math.inf:
            said.append(f"max_lag_bytes={wants.max_lag_bytes:g}")
        said.append(f"wait={own.wait}")
        if not own.interrupt:
            said.append("interrupt=False")
        return f"<ClusterView {', '.join(said)}>"

    def with_options(
        self,
        *,
        target: str | None = None,
        timeout: float | None = None,
        wait: bool | None = None,
        max_lag: float | None = None,
        max_lag_bytes: float | None = None,
        interrupt: bool | None = None,
    ) -> ClusterView[C]:
        """The same cluster with other defaults, such as `reader = cluster.with_options(target="prefer-standby", max_lag=2.0)`.

        It shares nodes, pool and monitor; what is left out stays. `timeout` is for `connect`, `acquire`, `transaction` and `run`.
        """
        own = self._defaults
        defaults = replace(
            own,
            wants=self._wants(target, max_lag, max_lag_bytes),
            timeout=own.timeout if timeout is None else seconds(timeout, 0.0, "timeout"),
            wait=own.wait if wait is None else flag(wait, "wait"),
            interrupt=own.interrupt if interrupt is None else flag(interrupt, "interrupt"),
        )
        return ClusterView(self._engine, defaults)

    def connect(
        self,
        dsn: str | None = None,
        *,
        target: str | None = None,
        timeout: float | None = None,
        wait: bool | None = None,
        interrupt: bool | None = None,
        **connect_options: Any,
    ) -> Connecting[C]:
        """Open a connection to the first fit node: await it, or enter it to have it closed at the end.

        It costs a login (0.7 ms on MariaDB, 4-7 ms on PostgreSQL); `acquire` costs microseconds. The connection is the driver's
        own and the caller's to close. Works on a cluster that is not open, too.

        target: for this connect, in libpq's words.
        timeout: seconds over all; None is the cluster's `connect_timeout`, `math.inf` no limit.
        wait: race again, with pauses, until the time-out, instead of raising when every node failed; errors that time does not
            heal (a wrong password) are raised at once all the same.
        interrupt: whether the monitor may cut the connection when its node falls silent; by default it may.
        connect_options: for the driver's connect, over the node's. An address or a user is refused by name.

        dsn: None, which pools pass; an address is refused.

        Takes what pools hand to a connection factory: `asyncpg.create_pool(connect=cluster.connect)`, and SQLAlchemy's
        `create_async_engine(..., async_creator=cluster.connect)`.

        Raises `NoNodeAvailable`, `AllNodesFailed`, `ConnectTimeout`, `ConfigError`, `NotOpen`, `WrongLoop`.
        """
        if dsn is not None:
            raise ConfigError("connect() takes no address ('dsn'): the nodes are the cluster's; register them with add_node")
        own = self._defaults
        wants = own.wants if target is None else self._wants(target, None, None)
        limit = self._connect_timeout if timeout is None else seconds(timeout, 0.0, "timeout")
        again = own.wait if wait is None else wait
        may_cut = own.interrupt if interrupt is None else interrupt

        def open_() -> Coroutine[Any, Any, C]:
            engine = self._engine
            connect = engine.connector.connect
            connecting = connect(wants, limit, connect_options, wait=again, interrupt=may_cut, in_use=engine.is_open)
            spans = engine.registry.spans
            return connecting if spans is None else traced_connect(engine, spans, wants.target, connecting)

        return Connecting(open_, self._end_connection)

    def acquire(
        self,
        *,
        target: str | None = None,
        timeout: float | None = None,
        max_lag: float | None = None,
        max_lag_bytes: float | None = None,
        interrupt: bool | None = None,
    ) -> Acquiring[C]:
        """Lease a connection from the pool: enter it, or await it and give the connection back with `release`.

        It costs microseconds while a connection is idle. The connection is the driver's own, as new: no transaction, no settings
        of the one who had it before. The cluster has to be open.

        target, max_lag, max_lag_bytes: which node is wanted; a lag (seconds, bytes) bounds how far behind a standby may be.
        timeout: seconds to wait for a connection; None is the cluster's `acquire_timeout`, 0 takes only what is at hand.
        interrupt: whether the lease may be cut when its node falls silent; False for long work such as COPY.

        Raises `AcquireTimeout`, `TooManyWaiters`, `NotOpen`, `WrongLoop`, and `AllNodesFailed` when every node fails for a cause
        that time does not heal.
        """
        own = self._defaults
        kind = Acquiring if self._engine.registry.spans is None else TracedAcquiring
        return kind(
            self._engine,
            own.wants
            if target is None and max_lag is None and max_lag_bytes is None
            else self._wants(target, max_lag, max_lag_bytes),
            self._acquire_timeout if timeout is None else seconds(timeout, 0.0, "timeout"),
            own.interrupt if interrupt is None else interrupt,
        )

    async def release(self, conn: C) -> None:
        """Give back what `await acquire()` leased. It is reset in the background, or closed when it is not fit for others.

        Nothing happens to a connection that the cluster has closed under its user, because its node fell silent, say.
        Raises `UnknownNode` for a connection that is not leased from this cluster, `NotLeased` for one that was returned already.
        """
        if self._engine.registry.interruptions.reason(conn) is None:  # else it was taken from him, and he may not know
            pool = self._engine.pool_here()
            pool.release(pool.lease_of(conn))

    def transaction(
        self,
        conn: C | None = None,
        /,
        *,
        target: str | None = None,
        isolation: str | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        timeout: float | None = None,
    ) -> Transacting[C]:
        """A transaction for the length of a block: `async with cluster.transaction() as conn: ...` commits at its end, and rolls
        back when the block raises. On a writable node, unless `target` says otherwise.

        With `conn`, a connection that the caller has, it begins there, or sets a savepoint if a transaction is open.

        isolation: "read committed", "repeatable read", "serializable" or "read uncommitted"; None is the session's own.
        readonly: it takes no writes; always so for the targets that standbys serve. deferrable: PostgreSQL's.
        timeout: seconds to wait for a connection on which a transaction can begin; None is the cluster's `acquire_timeout`.

        Raises what `acquire` raises, and `TransactionOutcomeUnknown` when the connection is lost after COMMIT was sent. The block
        is never run again; `run` does that.
        """
        engine, own = self._engine, self._defaults
        beginner = engine.runner_here().beginner if conn is None else engine.beginner
        request = make_request(
            self._wants(target, None, None),
            isolation=isolation,
            readonly=readonly,
            deferrable=deferrable,
            interrupt=own.interrupt,
        )
        return Transacting(beginner, request, seconds(timeout, self._acquire_timeout, "timeout"), conn)

    async def run(
        self,
        work: Callable[[C, *Ts], Awaitable[T]],
        *args: *Ts,
        target: str | None = None,
        isolation: str | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        attempts: int | None = None,
        timeout: float | None = None,
        idempotent: bool = False,
    ) -> T:
        """Await `work(conn, *args)` in a transaction, commit, and return its result; the whole again, elsewhere if need be, when
        that is safe: a deadlock or a certification conflict, a node that fails or is demoted. `work` may so run several times.

        attempts: how many runs at most; None is the cluster's. timeout: seconds over all of them; None is `run_timeout`.
        idempotent: run it again also when nobody knows whether COMMIT was carried out; running twice must do no harm, and where
            the transaction is read only it does none.
        target, isolation, readonly, deferrable: as for `transaction`.

        Raises what `work` raises, or the driver's error with notes when it may not run again; `TransactionOutcomeUnknown`, and
        never a silent second run, when COMMIT was sent and not answered; what `acquire` raises.
        """
        own = self._defaults
        request = make_request(
            self._wants(target, None, None),
            isolation=isolation,
            readonly=readonly,
            deferrable=deferrable,
            interrupt=own.interrupt,
        )
        limit = seconds(timeout, self._run_timeout, "timeout")
        runs = own.attempts if attempts is None else attempts
        harmless = flag(idempotent, "idempotent") or request.options.readonly
        return await self._engine.runner_here().run(RunRequest(request, limit, runs, harmless), work, *args)

    def _wants(self, target: str | None, max_lag: float | None, max_lag_bytes: float | None) -> Wants:
        own = self._defaults.wants
        return Wants(
            own.target if target is None else Target.parse(target),
            lag(max_lag, own.max_lag, "max_lag"),
            lag(max_lag_bytes, own.max_lag_bytes, "max_lag_bytes"),
        )

    async def _end_connection(self, conn: C, exc: BaseException | None) -> None:
        """Say goodbye to a connection that `connect` handed out, bounded by the cluster's `close_timeout`."""
        engine = self._engine
        if exc is not None and (cause := engine.registry.interruptions.reason(conn)) is not None:
            exc.add_note(cause)
        # A cancelled caller leaves at once, and the goodbye goes on in its own bounded task.
        await asyncio.wait([engine.connector.close_connection(conn, engine.settings.close_timeout)])
