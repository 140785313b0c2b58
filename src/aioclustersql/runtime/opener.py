"""The pool's logins: for those who wait, up to `min_size`, and for an even spread. At most two at once on one node.

Whether a login is worth its cost is decided in `policy.ledger`; a login is an `Attempt`, as in a race, and owns its connection
until the pool has it. Rule: a login that fails rests its node for a while, so that nothing here turns in circles.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ..errors import LoginAbandoned
from ..node import Target, Wants
from ..policy.leasing import Offer, Serving, next_to_open
from ..policy.ledger import Book
from ..policy.racing import FAILOVER, Reason
from ..policy.ranking import Fit
from .attempt import GOODBYE, Attempt, LoginRequest, Opened
from .failures import Failed, all_failed, is_lasting
from .member import Member
from .pooled import Pooled
from .registry import describe, labelled

if TYPE_CHECKING:
    from .pool import Pool

__all__ = ["Opener"]

C = TypeVar("C")

REST_FIRST, REST_MAX = 0.05, 1.0
"""After a failed login its node rests for a random part of 0.05 * 2^n seconds, up to 1 (full jitter)."""
UNKNOWN_LOGIN = 0.05
"""Seconds that a login is taken for while none has been measured."""
_log = logging.getLogger("aioclustersql.pool")


class _Login(NamedTuple):
    book: Book
    started: float
    timer: asyncio.TimerHandle | None


class Opener(Generic[C]):
    """What is being opened for one pool."""

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = pool
        self._loop = pool.loop
        self._logins: dict[Attempt[C], _Login] = {}
        self._baselines: dict[int, object] = {}
        self.errors: dict[str, Failed] = {}
        """How the last login on a node failed, until one succeeds."""
        self._failures: dict[str, int] = {}
        self._rests: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._adoptions: set[asyncio.Task[object]] = set()
        self._stopped = False

    # -- for those who wait --------------------------------------------------------------------------------------------

    def consider(self, wants: Wants, now: float) -> None:
        """Start the logins that are worth it for those who want this, and look again when more may be."""
        pool = self._pool
        if self._stopped or wants not in pool.ledger.groups:
            return
        serving = pool.serving(wants, now)
        if self._is_full(serving):
            return
        offers: Sequence[Offer] = serving.near
        if not offers:
            offers = pool.anybody().near
        books = [offer.book for offer in offers]
        estimates = [known for book in books if (known := pool.member(book).latency.estimate(now)) is not None]
        login = min(estimates, default=UNKNOWN_LOGIN)
        fresh = sum(1 for each in self._logins.values() if each.book in books and not self._is_overdue(each, now))
        due = pool.ledger.logins_due(wants, books, fresh, login, now)
        if not estimates and not any(book.busy for book in books):
            due = max(due, len(books) - fresh)  # nothing is known of any: only a race of all tells
        while due > 0 and (book := self._choose(offers, now)) is not None:
            self._start(book, wants, now)
            due -= 1
        self._look_again(self._when(wants, books, login, now), now)

    def _is_full(self, serving: Serving) -> bool:
        """Whether nothing can be opened before a connection is closed, or a node changes: both are heard of."""
        watched = serving.far or self._logins or self._rests  # what becomes otherwise with time alone
        return bool(serving.near) and not watched and self._pool.ledger.is_full(serving.books)

    def consider_all(self) -> None:
        """For everybody who waits."""
        now = self._loop.time()
        for wants in list(self._pool.ledger.groups):
            self.consider(wants, now)

    def made_room(self) -> None:
        """A connection is gone: another one may be opened."""
        if self._pool.ledger.waiting and not self._stopped:
            self._look_again(self._loop.time(), self._loop.time())

    def changed(self, member: Member[C]) -> None:
        """Something else is known of a node: it need not rest any longer."""
        self._rests.pop(member.name, None)

    def _choose(self, offers: Sequence[Offer], now: float) -> Book | None:
        """Where to open one more, having made room for it if need be."""
        ledger = self._pool.ledger
        awake = [offer for offer in offers if now >= self._rests.get(offer.book.name, 0.0)]
        room = [offer for offer in awake if ledger.has_room(offer.book)]
        if not room and awake and ledger.total >= ledger.limits.max_total and self._give_way(awake, now):
            room = [offer for offer in awake if ledger.has_room(offer.book)]
        if not room:
            return None
        return next_to_open(room, {each.book.name for each in self._logins.values() if self._is_overdue(each, now)})

    def _give_way(self, offers: Sequence[Offer], now: float) -> bool:
        """Below `max_total`: a login without an answer, or an idle connection of no use here, makes way."""
        for attempt, login in self._logins.items():
            if self._is_overdue(login, now):
                self._lose(attempt)
                return True
        spare = self._pool.ledger.spare_elsewhere([offer.book for offer in offers])
        if spare is None:
            return False
        assert isinstance(spare, Pooled)  # noqa: S101 - the pool's books hold nothing else
        self._pool.close(spare)
        return True

    @staticmethod
    def _is_overdue(login: _Login, now: float) -> bool:
        """Whether it has been silent for so long that another one is started beside it."""
        return now - login.started >= FAILOVER

    def _when(self, wants: Wants, books: Sequence[Book], login: float, now: float) -> float:
        """When to look again: a login has become worth it, one is overdue, or a node has rested."""
        pool = self._pool
        if wants not in pool.ledger.groups:
            return math.inf
        times = [pool.ledger.reconsider_at(wants, list(books), login, now)]
        times += [each.started + FAILOVER for each in self._logins.values()]
        times += [until for name, until in self._rests.items() if name in pool.ledger.books]
        times += [now + offer.unit * offer.weight for offer in pool.serving(wants, now).far if offer.book.idle]
        return min((time for time in times if time > now), default=math.inf)

    def _look_again(self, when: float, now: float) -> None:
        if when == math.inf or (self._timer is not None and now < self._timer.when() <= when):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._looked_for)

    def _looked_for(self) -> None:
        self._timer = None
        if self._pool.ledger.waiting:
            self._pool.serve_idle()
            self.consider_all()

    # -- for nobody in particular --------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Open what `min_size` lacks, evenly: the emptiest node first."""
        pool, now = self._pool, self._loop.time()
        wants = Wants(pool.settings.target)
        while not self._stopped:
            short = [book for book in pool.ledger.short_of() if self._may_open(book, now)]
            if not short:
                return
            self._start(short[0], wants, now)

    def open_one(self, book: Book) -> bool:
        """One more on this node, for an even spread. False: not now."""
        now = self._loop.time()
        if self._stopped or not self._pool.ledger.has_room(book) or not self._may_open(book, now):
            return False
        self._start(book, Wants(self._pool.settings.target), now)
        return True

    def _may_open(self, book: Book, now: float) -> bool:
        return self._pool.member(book).usable and now >= self._rests.get(book.name, 0.0)

    # -- logins --------------------------------------------------------------------------------------------------------

    def _start(self, book: Book, wants: Wants, now: float) -> None:
        pool = self._pool
        book.connecting += 1
        book.chosen = pool.next_turn()
        init = self._set_up if pool.settings.init is not None else None
        request = LoginRequest(wants, {}, init)
        attempt = Attempt(pool.registry, pool.disposal, pool.member(book), request, Reason.POOL, self._loop)
        limit = pool.settings.connect_timeout
        timer = self._loop.call_at(now + limit, self._lose, attempt) if limit != math.inf else None
        self._logins[attempt] = _Login(book, now, timer)
        attempt.task.add_done_callback(lambda _: self._ended(attempt))

    async def _set_up(self, conn: C) -> None:
        init = self._pool.settings.init
        if init is not None:
            await init(conn)
        self._baselines[id(conn)] = await self._pool.registry.driver.baseline(conn)

    def _lose(self, attempt: Attempt[C]) -> None:
        """It has had its time, or makes way: it ends by itself, as a login that lost its race."""
        if self._forget(attempt) is not None:
            self._note(attempt, LoginAbandoned(f"no answer, {attempt.phase}"))
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
        opened = attempt.opened
        baseline = None if opened is None else self._baselines.pop(id(opened.conn), None)
        if login is None:
            return  # it was lost before, and has disposed of itself
        if opened is not None:
            self._succeeded(login.book, opened, baseline)
        else:
            task = attempt.task
            error = LoginAbandoned("cancelled") if task.cancelled() else task.exception()
            self._failed(attempt, error or LoginAbandoned("ended"))

    def _succeeded(self, book: Book, opened: Opened[C], baseline: object) -> None:
        pool, member = self._pool, opened.member
        if self._stopped or pool.ledger.books.get(book.name) is not book:
            pool.disposal.close(pool.registry.driver, opened.conn, GOODBYE)
            return
        for known in (self.errors, self._failures, self._rests):
            known.pop(member.name, None)
        member.counters.connections += 1
        pool.add(Pooled(member, opened.conn, baseline), book)
        self._go_on()

    def _note(self, attempt: Attempt[C], error: BaseException) -> None:
        name = attempt.member.name
        self.errors[name] = Failed(labelled(name, attempt.address), error, describe(error, attempt.secret))

    def _failed(self, attempt: Attempt[C], error: BaseException) -> None:
        name, now = attempt.member.name, self._loop.time()
        self._note(attempt, error)
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        pause = min(REST_FIRST * 2.0 ** min(failures - 1, 10), REST_MAX)
        self._rests[name] = now + pause * self._pool.registry.rng.random()
        if not self._stopped:
            self._give_up(now)
            self._go_on()

    def _go_on(self) -> None:
        if self._pool.ledger.waiting:
            self.consider_all()
        self.fill()

    def _give_up(self, now: float) -> None:
        """Tell those who wait when every node that could serve them fails for a cause that time does not heal."""
        pool = self._pool
        for wants in list(pool.ledger.groups):
            books = pool.serving(wants, now).books or pool.anybody().books
            failed = {book.name: known for book in books if (known := self.errors.get(book.name)) is not None}
            hopeless = len(failed) == len(books) and not any(book.size for book in books)
            if hopeless and all(is_lasting(pool.registry.driver, each.error) for each in failed.values()):
                pool.fail_all(wants, all_failed(wants.target, failed))

    def stop(self) -> None:
        """Start nothing any more; what is under way ends as a lost login."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for attempt in list(self._logins):
            self._forget(attempt)
            attempt.lose()

    # -- lost races ----------------------------------------------------------------------------------------------------

    def adopt(self, member: Member[C], conn: C) -> bool:
        """Take over a connection that lost its race, if it is wanted: for somebody who waits, or below `min_size`."""
        pool = self._pool
        book = pool.ledger.books.get(member.name)
        if self._stopped or book is None or not pool.registry.is_current(member) or not pool.ledger.has_room(book):
            return False
        now = self._loop.time()
        wanted = book.size < pool.ledger.limits.min_size or any(
            book in pool.serving(wants, now).books for wants in pool.ledger.groups
        )
        if not wanted:
            return False
        book.connecting += 1
        task = self._loop.create_task(self._adopt(conn), name=f"aioclustersql:{pool.registry.cluster}:adopt")
        self._adoptions.add(task)
        task.add_done_callback(lambda done: self._adopted(member, conn, book, done))
        return True

    async def _adopt(self, conn: C) -> object:
        """It has neither been validated nor set up. Returns its baseline."""
        settings = self._pool.settings
        async with asyncio.timeout(None if settings.connect_timeout == math.inf else settings.connect_timeout):
            await self._pool.registry.driver.validate(conn, Target.ANY)
            if settings.init is not None:
                await self._set_up(conn)
        return self._baselines.pop(id(conn), None)

    def _adopted(self, member: Member[C], conn: C, book: Book, task: asyncio.Task[object]) -> None:
        """Whatever went wrong with it, it is closed: nobody counted on it."""
        self._adoptions.discard(task)
        book.connecting -= 1
        if task.cancelled() or (error := task.exception()) is not None:
            if not task.cancelled():
                _log.debug("cluster %s: node %s: not adopted: %r", self._pool.registry.cluster, member.name, error)
            self._baselines.pop(id(conn), None)
            self._pool.registry.driver.terminate(conn)
        else:
            self._succeeded(book, Opened(member, conn, Fit.YES), task.result())

    async def over(self) -> None:
        """After `stop`: until no adoption is under way."""
        for task in self._adoptions:
            task.cancel()
        while self._adoptions:
            await asyncio.wait(self._adoptions)
            await asyncio.sleep(0)  # their callbacks are due
