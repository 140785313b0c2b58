"""The pool's logins: for those who wait, up to `min_size`, and for an even spread. At most two at once on one node.

Whether a login is worth its cost is decided in `policy.ledger`; a login is an `Attempt`, as in a race, and owns its connection
until the pool has it. Rule: a login that fails rests its node for a while, so that nothing here turns in circles.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from ..errors import LoginAbandoned
from ..node import Target, Wants
from ..policy.backoff import MAX, backoff
from ..policy.demand import drain_time, logins_due, reconsider_at
from ..policy.health import HARD, SOFT
from ..policy.leasing import Offer, Serving, next_to_open, worth
from ..policy.ledger import Book, Slot, State
from ..policy.racing import FAILOVER, Reason
from ..policy.ranking import Fit
from .attempt import GOODBYE, Attempt, LoginRequest, Opened
from .failures import Failed, all_failed, describe, is_lasting, labelled
from .member import Member
from .pooled import Pooled

if TYPE_CHECKING:
    from .pool import Pool

__all__ = ["Opener"]

C = TypeVar("C")

SLOW = 2.0
"""A login that takes so many times as long as those on its node do (and 250 ms at least) is not counted on any more."""
_TICK = 1e-6
"""A timer may fire a clock tick early; then what it waited for is not yet so."""
UNKNOWN_LOGIN = 0.05
"""Seconds that a login is taken for while none has been measured."""


@dataclass(slots=True)
class _Login:
    book: Book
    generation: int
    target: Target
    overdue_at: float
    """From then on another one is started beside it: it takes longer than logins on this node do."""
    timer: asyncio.TimerHandle | None = None
    baseline: object = None
    instead_of: Slot | None = None
    """What is to be closed when it has succeeded."""


class Opener(Generic[C]):
    """What is being opened for one pool."""

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = pool
        self._loop = pool.loop
        self._logins: dict[Attempt[C], _Login] = {}
        self.errors: dict[str, Failed] = {}
        """How the last login on a node failed, until one succeeds."""
        self._failing_since: dict[str, float] = {}
        self._rests: dict[str, float] = {}
        """Until when no login begins on a node, after one that failed."""
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        """When the timer fires; uvloop's do not tell where that is at once."""
        self._stopped = False

    # -- for those who wait --------------------------------------------------------------------------------------------

    def consider(self, wants: Wants, now: float) -> None:
        """Start the logins that are worth it for those who want this, and look again when more may be."""
        pool = self._pool
        if self._stopped or wants not in pool.ledger.groups:
            return
        serving = pool.supply.of(wants, now)
        if self._is_full(serving):
            return
        if not serving.near:
            serving = pool.supply.anybody()
        books = [offer.book for offer in serving.near]
        estimates = [known for book in books if (known := pool.supply.member(book).latency.estimate(now)) is not None]
        login = min(estimates, default=UNKNOWN_LOGIN)
        fresh = sum(1 for each in self._logins.values() if each.book in serving.books and now < each.overdue_at)
        due = logins_due(pool.ledger, wants, books, fresh, login, now)
        if not estimates and not any(book.busy for book in books):
            due = max(due, len(books) - fresh)  # nothing is known of any: only a race of all tells
        while due > 0 and (book := self._choose(self._open_to(wants, serving, now), now)) is not None:
            self._start(book, wants, now)
            due -= 1
        self._look_again(self._when(wants, serving, login, now), now)

    def _open_to(self, wants: Wants, serving: Serving, now: float) -> Sequence[Offer]:
        """Where to open a connection for them: on a near node, and when all those are full on a far one, if it is worth it."""
        ledger = self._pool.ledger
        if not serving.far or any(offer.book.size < ledger.limits.max_size for offer in serving.near):
            return serving.near
        queue = drain_time(ledger, wants, [offer.book for offer in serving.near], now)
        return [offer for offer in serving.far if worth(serving, offer.book, ledger.waiting, queue)]

    def _is_full(self, serving: Serving) -> bool:
        """Whether nothing can be opened before a connection is closed, or a node changes: both are heard of."""
        if not serving.near or serving.far or self._logins or self._rests:  # what becomes otherwise with time alone
            return False
        ledger = self._pool.ledger
        for offer in serving.near:
            if offer.book.size < ledger.limits.max_size:
                return ledger.total >= ledger.limits.max_total and ledger.spare_elsewhere(serving.books) is None
        return True

    def consider_all(self) -> None:
        """For everybody who waits."""
        now = self._loop.time()
        for wants in list(self._pool.ledger.groups):
            self.consider(wants, now)

    def made_room(self) -> None:
        """A connection is gone: another one may be opened."""
        if self._pool.ledger.waiting and not self._stopped:
            self._look_again(now := self._loop.time(), now)

    def changed(self, member: Member[C]) -> None:
        """Something else is known of a node: it need not rest any longer. Of one that was removed nothing is known any more."""
        self._pool.supply.trust(member.name)
        self._rests.pop(member.name, None)
        self._failing_since.pop(member.name, None)
        if not self._pool.registry.is_current(member):
            self.errors.pop(member.name, None)

    def _choose(self, offers: Sequence[Offer], now: float) -> Book | None:
        """Where to open one more, having made room for it if need be."""
        ledger = self._pool.ledger
        awake = [offer for offer in offers if self._may_ask(offer.book, now)]
        room = [offer for offer in awake if ledger.has_room(offer.book)]
        if not room and awake and ledger.total >= ledger.limits.max_total and self._give_way(awake, now):
            room = [offer for offer in awake if ledger.has_room(offer.book)]
        if not room:
            return None
        return next_to_open(room, {each.book.name for each in self._logins.values() if now >= each.overdue_at})

    def _give_way(self, offers: Sequence[Offer], now: float) -> bool:
        """Below `max_total`: a login without an answer, or an idle connection of no use here, makes way."""
        for attempt, login in self._logins.items():
            if now >= login.overdue_at:
                self._lose(attempt)
                return True
        spare = self._pool.ledger.spare_elsewhere([offer.book for offer in offers])
        if spare is None:
            return False
        assert isinstance(spare, Pooled)  # noqa: S101 - the pool's books hold nothing else
        self._pool.close(spare)
        return True

    def _when(self, wants: Wants, serving: Serving, login: float, now: float) -> float:
        """When to look again: a login or a far node has become worth it, a login is overdue, or a node has rested."""
        pool = self._pool
        if wants not in pool.ledger.groups:
            return math.inf
        near = [offer.book for offer in serving.near]
        times = [reconsider_at(pool.ledger, wants, near, seconds, now) for seconds in (login, *(far.cost for far in serving.far))]
        times += [each.overdue_at for each in self._logins.values()]
        times += [until for name, until in self._rests.items() if name in pool.ledger.books]
        if any(pool.supply.member(book).congested for book in serving.books):
            times.append(now + FAILOVER)
        return min((time for time in times if time > now), default=math.inf)

    def _look_again(self, when: float, now: float) -> None:
        when = max(when, now + _TICK)
        if when == math.inf or (self._timer is not None and now < self._due <= when):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = self._loop.call_at(when, self._looked_for), when

    def _looked_for(self) -> None:
        self._timer = None
        if self._pool.ledger.waiting:
            self._pool.queue.serve_idle()
            self.consider_all()

    # -- for nobody in particular --------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Open what `min_size` lacks, evenly: the emptiest node first."""
        now = self._loop.time()
        while not self._stopped:
            short = [book for book in self._pool.ledger.short_of() if self._may_open(book, now)]
            if not short:
                return
            self._start(short[0], self._wants_of(short[0], now), now)

    def move(self, spare: Pooled[C], book: Book) -> bool:
        """Open one on this node, and then close the other. False: not now."""
        pool, now = self._pool, self._loop.time()
        if self._stopped or not self._may_open(book, now):
            return False
        if not pool.ledger.has_room(book) and pool.ledger.total >= pool.ledger.limits.max_total:
            pool.close(spare)
        if not pool.ledger.has_room(book):
            return False
        self._start(book, self._wants_of(book, now), now, instead_of=spare)
        return True

    def _may_open(self, book: Book, now: float) -> bool:
        return self._pool.supply.member(book).usable and self._may_ask(book, now)

    def _may_ask(self, book: Book, now: float) -> bool:
        """Whether it neither rests nor has as many unfinished logins, which nobody waits for, as a node may have."""
        return now >= self._rests.get(book.name, 0.0) and not self._pool.supply.member(book).congested

    def _wants_of(self, book: Book, now: float) -> Wants:
        """What to ask of a node for nobody in particular: what is usual here, or whether it serves at all."""
        wants = Wants(self._pool.settings.target)
        serves = self._pool.registry.standing.serves(self._pool.supply.member(book), wants, now) is not Fit.NO
        return wants if serves else Wants(Target.ANY)

    # -- logins --------------------------------------------------------------------------------------------------------

    def _start(self, book: Book, wants: Wants, now: float, *, instead_of: Slot | None = None) -> None:
        pool, member = self._pool, self._pool.supply.member(book)
        book.connecting += 1
        book.chosen = pool.next_turn()
        patience = max(FAILOVER, SLOW * (member.latency.estimate(now) or 0.0))
        login = _Login(book, book.generation, wants.target, now + patience, instead_of=instead_of)
        init = partial(self._set_up, login) if pool.settings.init is not None else None
        attempt = Attempt(pool.registry, pool.disposal, member, LoginRequest(wants, {}, init), Reason.POOL, self._loop)
        limit = pool.settings.connect_timeout
        if limit != math.inf:
            login.timer = self._loop.call_at(now + limit, self._lose, attempt)
        self._logins[attempt] = login
        attempt.task.add_done_callback(lambda _: self._ended(attempt))

    async def _set_up(self, login: _Login, conn: C) -> None:
        login.baseline = await self._pool.set_up(conn)

    def _lose(self, attempt: Attempt[C]) -> None:
        """It has had its time, or makes way: it ends by itself, as a login that lost its race."""
        if self._forget(attempt) is not None:
            self._note(attempt, LoginAbandoned(f"no answer, {attempt.phase}"))
            self._rest(attempt)
            attempt.lose()
            self.made_room()

    def _forget(self, attempt: Attempt[C]) -> _Login | None:
        login = self._logins.pop(attempt, None)
        if login is not None:
            login.book.connecting -= 1
            if login.timer is not None:
                login.timer.cancel()
        return login

    def _ended(self, attempt: Attempt[C]) -> None:
        login = self._forget(attempt)
        if login is None:
            return  # it was lost before, and has disposed of itself
        opened = attempt.opened
        if opened is not None:
            self._succeeded(login, opened)
        else:
            task = attempt.task
            error = LoginAbandoned("cancelled") if task.cancelled() else task.exception()
            self._failed(attempt, error or LoginAbandoned("ended"))

    def _succeeded(self, login: _Login, opened: Opened[C]) -> None:
        pool, member = self._pool, opened.member
        pool.supply.trust(member.name)
        for known in (self.errors, self._failing_since, self._rests):
            known.pop(member.name, None)
        if login.generation == login.book.generation:
            member.counters.connections += 1
            pool.add(Pooled(member, opened.conn, login.baseline, login.target), login.book)
        else:  # what was open on the node when it began is no good any more
            pool.disposal.close(pool.registry.driver, opened.conn, GOODBYE)
        if login.instead_of is not None and login.instead_of.state is State.IDLE:
            assert isinstance(login.instead_of, Pooled)  # noqa: S101 - the pool's books hold nothing else
            pool.close(login.instead_of)
        self.go_on()

    def _note(self, attempt: Attempt[C], error: BaseException) -> None:
        name = attempt.member.name
        self.errors[name] = Failed(labelled(name, attempt.address), error, describe(error, attempt.secret))

    def _failed(self, attempt: Attempt[C], error: BaseException) -> None:
        pool, name = self._pool, attempt.member.name
        if pool.registry.is_current(attempt.member):
            self._note(attempt, error)
            until = self._rest(attempt)
            if pool.registry.driver.classify(error) in HARD | SOFT:
                pool.supply.doubt(name, until)
                pool.queue.serve_idle()  # where others serve meanwhile
        self._give_up()
        self.go_on()

    def _rest(self, attempt: Attempt[C]) -> float:
        """Let its node rest. Returns until when."""
        now, name = self._loop.time(), attempt.member.name
        if attempt.started > self._rests.get(name, math.inf) + MAX:
            del self._failing_since[name]  # nobody has asked it for longer than a rest takes: what was before says nothing
        failing_for = now - self._failing_since.setdefault(name, now)
        until = self._rests[name] = now + backoff(failing_for, self._pool.registry.rng)
        return until

    def go_on(self) -> None:
        """A login has ended: others may begin."""
        if self._pool.ledger.waiting:
            self.consider_all()
        self.fill()

    def _give_up(self) -> None:
        """Tell those who wait when every node fails for a cause that time does not heal."""
        pool = self._pool
        books = pool.supply.anybody().books
        failed = {book.name: known for book in books if (known := self.errors.get(book.name)) is not None}
        if not books or len(failed) < len(books) or any(book.size for book in books):
            return
        if all(is_lasting(pool.registry.driver, each.error) for each in failed.values()):
            for wants in list(pool.ledger.groups):
                pool.queue.fail_all(wants, all_failed(wants.target, failed))

    def stop(self) -> None:
        """Start nothing any more; what is under way ends as a lost login."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for attempt in list(self._logins):
            self._forget(attempt)
            attempt.lose()
