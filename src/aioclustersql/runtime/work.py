"""Performs `run`: a unit of work in a transaction, and again where `policy.retry` allows it, within one deadline.

Rule: what may have been committed is never run a second time, unless the caller said that this does no harm; and a caller who is
cancelled gets his `CancelledError`, whatever else went wrong at the same moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, NoReturn, TypeVar, TypeVarTuple

from ..errors import AcquireTimeout, TransactionOutcomeUnknown
from ..policy import retry
from ..policy.retry import Action, Phase, RetryBudget
from .beginning import Beginner, Request
from .begun import EARLY_END, NO_ANSWER, ROLLBACK, ROLLBACK_LATE, Begun
from .lease import Lease
from .spans import Span
from .trail import Trail

__all__ = ["RunRequest", "Runner"]

C = TypeVar("C")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """How a unit is to be run: `timeout` in seconds over all its runs, `math.inf` for none; `attempts` runs at most."""

    request: Request
    timeout: float = 30.0
    attempts: int = 5
    idempotent: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or self.attempts < 1:
            raise ValueError(f"attempts is a number of runs, 1 or more, not {self.attempts!r}")


class Runner(Generic[C]):
    """Runs units of work for one cluster; they share a retry budget."""

    def __init__(self, beginner: Beginner[C]) -> None:
        self.beginner = beginner
        self.budget = RetryBudget()

    async def run(self, request: RunRequest, work: Callable[[C, *Ts], Awaitable[T]], *args: *Ts) -> T:
        """Await `work(conn, *args)` in a transaction, COMMIT, and return its result.

        Raises what the unit raised or the driver's error, with notes; `TransactionOutcomeUnknown`; `AcquireTimeout` with the
        history where the time is over; what `Leases.acquire` raises.
        """
        self.budget.deposit()
        registry = self.beginner.registry
        registry.journal.totals.runs += 1
        unit = _Run(self.beginner, self.budget, request, lambda conn: work(conn, *args))
        if registry.spans is None:
            return await unit.perform()
        with registry.spans.span("run", request.request.wants.target) as span:
            unit.span = span
            return await unit.perform()


class _Done(NamedTuple, Generic[T]):
    """The unit was committed."""

    result: T


class _Again(NamedTuple, Generic[C]):
    """The unit was undone and may run again, after `pause` seconds; on `kept` if that is a lease."""

    pause: float
    kept: Lease[C] | None


class _Run(Generic[C, T]):
    """One call."""

    def __init__(
        self, beginner: Beginner[C], budget: RetryBudget, request: RunRequest, work: Callable[[C], Awaitable[T]]
    ) -> None:
        self._beginner = beginner
        self._budget = budget
        self._request = request
        self._work = work
        self._trail = Trail(request.timeout, request.attempts)
        self._unknown: TransactionOutcomeUnknown | None = None
        """Of an earlier run, where the caller allowed another."""
        self.span: Span | None = None

    async def perform(self) -> T:
        """Run the unit until it is committed, or may not run again."""
        kept: Lease[C] | None = None
        while True:
            begun = await self._begin(kept)
            self._trail.runs += 1
            outcome = await self._once(begun)
            if not isinstance(outcome, _Again):
                return outcome.result
            kept = outcome.kept
            if outcome.pause:
                await asyncio.sleep(outcome.pause)

    async def _begin(self, kept: Lease[C] | None) -> Begun[C]:
        try:
            return await self._beginner.begin(self._request.request, self._trail, kept)
        except Exception as exc:
            self._remember_unknown(exc)
            raise

    async def _once(self, begun: Begun[C]) -> _Done[T] | _Again[C]:
        """One run, up to its end. The lease goes back, or is kept by what is returned."""
        trail = self._trail
        limit = asyncio.timeout_at(trail.limit)
        try:
            async with limit:
                result = await self._work(begun.conn)
        except Exception as exc:  # noqa: BLE001 - it is raised again below, unless the unit may run again
            if limit.expired():
                await self._late(begun, exc)
            return await self._failed(begun, exc)
        except BaseException:
            await begun.abandon()
            raise
        if trail.now >= trail.deadline:  # a COMMIT would only be cut off
            await self._late(begun)
        if trail.cancelled:
            await begun.abandon()
            trail.heed_cancel()
        if not begun.open:
            begun.release()
            raise self._unknown_outcome(begun, EARLY_END)
        again = await self._commit(begun)
        return _Done(result) if again is None else again

    async def _commit(self, begun: Begun[C]) -> _Again[C] | None:
        """COMMIT; `None`: it is done."""
        limit = asyncio.timeout_at(self._trail.limit)
        try:
            async with limit:
                await begun.commit()
        except Exception as exc:
            if limit.expired():
                begun.discard()
                raise self._unknown_outcome(begun, f"{NO_ANSWER}: the time-out of {self._trail.timeout:g} s passed") from exc
            return await self._commit_failed(begun, exc)
        except BaseException as exc:
            begun.discard()
            exc.add_note(begun.cancelled_in_commit)
            raise
        begun.release()
        return None

    async def _late(self, begun: Begun[C], exc: Exception | None = None) -> NoReturn:
        """The time is over before COMMIT: undo it, and tell."""
        was_open, trail = begun.open, self._trail
        await begun.abandon(ROLLBACK_LATE)
        trail.heed_cancel(exc)
        self._remember_unknown(exc)
        if not was_open:
            raise self._unknown_outcome(begun, EARLY_END) from exc
        late = AcquireTimeout(
            f"the time-out of {trail.timeout:g} s passed while the unit was at work on node {begun.node}; it was rolled back",
            trail.errors,
        )
        trail.annotate(late, f"on node {begun.node}")
        raise late from exc

    async def _failed(self, begun: Begun[C], exc: Exception) -> _Again[C]:
        """The unit raised: undo it. Raises what the caller gets, or returns when and where it runs again."""
        what = retry.action(begun.meaning(exc), Phase.WORKING, readonly=self._request.request.options.readonly)
        was_open = begun.open
        kept = await self._undo(begun, keep=what is Action.SAME_CONNECTION)
        try:
            self._trail.heed_cancel(exc)
            if what is Action.SURFACE:
                self._surface(begun, exc, EARLY_END if not was_open else None)
            if not was_open and not self._request.idempotent:
                raise self._unknown_outcome(begun, EARLY_END) from exc
            return _Again(self._pause(begun, exc, what, "in the unit"), kept)
        except BaseException:
            if kept is not None:
                begun.release()
            raise

    async def _undo(self, begun: Begun[C], *, keep: bool) -> Lease[C] | None:
        """Undo the run. The lease goes back, unless it is to be kept and can be."""
        within = max(min(ROLLBACK, self._trail.deadline - self._trail.now), ROLLBACK_LATE)
        if not keep:
            await begun.abandon(within)
            return None
        undone = False
        try:
            undone = await begun.undo(within)
        finally:
            if not undone:
                begun.discard()
        return begun.lease if undone else None

    async def _commit_failed(self, begun: Begun[C], exc: Exception) -> _Again[C]:
        """COMMIT was sent and failed. Raises what the caller gets, or returns when it runs again."""
        what = retry.action(begun.meaning(exc), Phase.COMMITTING, lost=begun.closed)
        if what is not Action.UNKNOWN:
            await begun.settle()
            self._trail.heed_cancel(exc)
            if what is Action.SURFACE:
                self._surface(begun, exc)
            return _Again(self._pause(begun, exc, what, "at COMMIT"), None)
        begun.discard()
        self._trail.heed_cancel(exc, begun.cancelled_in_commit)
        unknown = self._unknown_outcome(begun, f"{NO_ANSWER}: {self._beginner.registry.describe(exc)}")
        if not self._request.idempotent:
            raise unknown from exc
        self._unknown = self._unknown or unknown
        return _Again(self._pause(begun, exc, Action.ELSEWHERE, "at COMMIT"), None)

    def _pause(self, begun: Begun[C], exc: Exception, what: Action, doing: str) -> float:
        """How long to wait before the unit runs again. Raises what the caller gets when it may not."""
        trail, registry = self._trail, self._beginner.registry
        text = registry.describe(exc)
        doing = f"run {trail.runs} on node {begun.node}, {doing}"
        trail.failed(begun.node, doing, exc, text, avoid=what is Action.ELSEWHERE)
        trail.faults += 1
        pause = retry.pause(what, trail.faults, registry.rng)
        refused = retry.refusal(trail.runs, trail.attempts, trail.now + pause, trail.deadline, self._budget)
        if refused is not None:
            self._remember_unknown(exc)
            self._surface(begun, exc, refused)
        registry.journal.retried(begun.node, trail.runs, text, pause)
        if self.span is not None:
            self.span.retried(begun.node, trail.runs, text, pause)
        return pause

    def _surface(self, begun: Begun[C], exc: Exception, why: str | None = None) -> NoReturn:
        """The caller gets the exception as it is, with notes where there is something to tell."""
        if why is not None or self._trail.history:
            self._trail.annotate(exc, f"on node {begun.node}" + (f"; {why}" if why is not None else ""))
        raise exc

    def _unknown_outcome(self, begun: Begun[C], why: str) -> TransactionOutcomeUnknown:
        self._beginner.registry.journal.unknown(begun.node, why)
        error = begun.unknown(why)
        self._trail.annotate(error, f"on node {begun.node}")
        return error

    def _remember_unknown(self, exc: Exception | None) -> None:
        """Raise what an earlier run left in doubt, as this one has not settled it."""
        if self._unknown is not None:
            raise self._unknown from exc
