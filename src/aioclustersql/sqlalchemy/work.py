"""Units of work on sessions of SQLAlchemy, run by the rules of `Cluster.run`: it is the same machine, on other transactions.

Rule: a session's connection is held here until its transaction is over and undone or committed; then it goes to its pool, or is
closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from ..runtime.beginning import make_request
from ..runtime.work import Runner, RunRequest
from ..settings import flag, seconds
from .seats import known_seat_of, seats_of
from .unit import SessionBeginner

__all__ = ["node_of", "run"]

S = TypeVar("S", bound=AsyncSession)
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def run(
    sessions: async_sessionmaker[S],
    work: Callable[[S, *Ts], Awaitable[T]],
    *args: *Ts,
    isolation: str | None = None,
    readonly: bool = False,
    deferrable: bool = False,
    attempts: int | None = None,
    timeout: float | None = None,
    idempotent: bool = False,
) -> T:
    """Await `work(session, *args)` in a transaction, flush, commit, and return its result; the whole again, with a new session
    and elsewhere if need be, when that is safe. `work` may so run several times, and leaves COMMIT and ROLLBACK alone.

    sessions: makes the sessions; its engine is one of `create_async_engine`, and the unit is to use no other. Let it have
        `expire_on_commit=False` where objects are returned.
    isolation, readonly, deferrable: as for `Cluster.transaction`; an engine whose target is a standby's makes it read only.
    attempts: how many runs at most. timeout: seconds over all of them. None: the cluster's `attempts`, `run_timeout`.
    idempotent: run it again also when nobody knows whether COMMIT was carried out; running twice must do no harm.

    Raises what `work` raises, or SQLAlchemy's error with notes when it may not run again; `TransactionOutcomeUnknown`, and never
    a silent second run, when COMMIT was sent and not answered; `AcquireTimeout`; `ConfigError` for another engine.
    """
    engine = sessions().get_bind()
    seats = seats_of(engine)
    view = seats.view
    request = make_request(
        seats.wants,
        isolation=isolation,
        readonly=readonly,
        deferrable=deferrable,
        interrupt=view._defaults.interrupt,
    )
    limit = seconds(timeout, view._run_timeout, "timeout")
    runs = view._defaults.attempts if attempts is None else attempts
    harmless = flag(idempotent, "idempotent") or request.options.readonly

    async def unit(session: S) -> T:
        result = await work(session, *args)
        await session.flush()  # what it sends is work, and no COMMIT
        return result

    async with SessionBeginner(seats, engine, sessions) as beginner:
        return await Runner(beginner, view._engine.budget).run(RunRequest(request, limit, runs, harmless), unit)


async def node_of(session: AsyncSession | AsyncConnection, **bind_arguments: Any) -> str:
    """The name of the node that a session, or a connection of SQLAlchemy, is on. A session begins a transaction for that if
    none is open; `bind_arguments` choose its engine, as for `AsyncSession.connection`.

    Raises `UnknownNode` for a stranger.
    """
    conn = await session.connection(bind_arguments=bind_arguments) if isinstance(session, AsyncSession) else session
    return known_seat_of(conn.sync_connection or conn._raise_for_not_started()).member.name
