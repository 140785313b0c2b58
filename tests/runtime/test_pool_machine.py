"""The whole cluster under any order of events, on virtual time: nothing leaks, nobody is overtaken, nobody waits in vain."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aioclustersql.errors import ClusterError, NotOpen
from aioclustersql.policy.ledger import LOGINS, State
from aioclustersql.runtime.pool import Pool
from aioclustersql.testing import FakeConnection, FakeDriver, FakeServer, ResetAnswer, VirtualLoop

from .tools import FakeCluster, cluster_over, moment

T = TypeVar("T")
NAMES = ("a", "b", "c")
TARGETS = ("any", "read-write")
LARGEST = 3

names = st.sampled_from(NAMES)
steps = st.integers(0, 3)


class Pools(RuleBasedStateMachine):
    """Users, operators and failures. After each of their deeds the loop runs on for a few steps, or for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.wrong: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.wrong.append(context))
        self.driver = FakeDriver(*NAMES)
        for server in self.driver:
            server.delay, server.reset_delay, server.ping_delay = 0.01, 0.001, 0.001
        self.held: list[FakeConnection] = []
        self.waiting: dict[asyncio.Task[FakeConnection], tuple[str, int]] = {}
        self.served: dict[str, int] = {}
        self.errands: list[asyncio.Task[Any]] = []
        self.number = 0

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(doing)

    @initialize(
        monitored=st.booleans(),
        seed=st.integers(0, 9),
        min_size=st.integers(0, 1),
        max_total=st.sampled_from([None, 2, 4]),
        reset=st.sampled_from([None, False]),
        answer=st.sampled_from(["read", "usual", "unusual"]),
    )
    def begin(
        self, monitored: bool, seed: int, min_size: int, max_total: int | None, reset: bool | None, answer: ResetAnswer
    ) -> None:
        for server in self.driver:
            server.reset_answer = answer
        self.cluster: FakeCluster = cluster_over(
            self.driver,
            seed=seed,
            monitor_interval=1.0 if monitored else None,
            min_size=min_size,
            max_size=LARGEST,
            max_total=max_total,
            connect_timeout=2.0,
            close_timeout=1.0,
            reset=reset,
        )
        self.run(self.cluster.open())

    @property
    def pool(self) -> Pool[FakeConnection]:
        assert self.cluster._engine.pool is not None
        return self.cluster._engine.pool

    # -- users -------------------------------------------------------------------------------------------------------------

    @rule(wants=st.lists(st.sampled_from(TARGETS), min_size=1, max_size=6), steps=steps)
    def acquire(self, wants: list[str], steps: int) -> None:
        async def ask(target: str) -> FakeConnection:
            return await self.cluster.acquire(target=target, timeout=math.inf)

        for target in wants:
            self.number += 1
            self.waiting[self.loop.create_task(ask(target))] = (target, self.number)
        self.run(self.go_on(steps))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), count=st.integers(1, 6), steps=steps)
    def release(self, data: st.DataObject, count: int, steps: int) -> None:
        for conn in data.draw(st.lists(st.sampled_from(self.held), min_size=1, max_size=count, unique=True)):
            self.held.remove(conn)
            self.run(self.give_back(conn))
        self.run(self.go_on(steps))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), steps=steps)
    def cancel(self, data: st.DataObject, steps: int) -> None:
        for task in data.draw(st.lists(st.sampled_from(list(self.waiting)), min_size=1, max_size=3, unique=True)):
            task.cancel()
        self.run(self.go_on(steps))

    @precondition(lambda self: self.held and self.waiting)
    @rule(data=st.data(), count=st.integers(1, 3))
    def hand_over_in_vain(self, data: st.DataObject, count: int) -> None:
        """What comes back is another's for a moment, who leaves in that very moment."""

        async def do() -> None:
            await self.give_back(conn)
            for task in leaving:
                task.cancel()

        conn = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        leaving = list(self.waiting)[:count]
        self.run(do())

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def break_off(self, data: st.DataObject) -> None:
        self.driver.terminate(data.draw(st.sampled_from(self.held)))

    # -- operators, and failures -------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["remove or add", "drain", "resume", "expire", "shrink", "grow"]), name=names)
    def operate(self, what: str, name: str) -> None:
        self.run(self._operate(what, name))

    async def _operate(self, what: str, name: str) -> None:
        cluster = self.cluster
        if what in ("shrink", "grow"):
            await cluster.resize(max_size=1 if what == "shrink" else LARGEST)
        elif name not in cluster.nodes:
            cluster.add_node(name, f"fake://app@{name}/test")
        elif what == "remove or add":
            cluster.remove_node(name)
        elif what == "drain":
            self.errands.append(self.loop.create_task(cluster.drain_node(name, timeout=1.0)))
        elif what == "resume":
            cluster.resume_node(name)
        else:
            cluster.expire(name)

    @rule(name=names, how=st.sampled_from(["kill", "restart", "freeze", "heal", "heal", "overloaded", "reset", "wrong-password"]))
    def fail(self, name: str, how: Any) -> None:
        server = self.driver[name]
        if how in ("kill", "freeze", "restart"):
            getattr(server, how)()
        elif how == "heal":
            _heal(server)
        else:
            server.outcome = how

    # -- and time ----------------------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from([0.001, 0.01, 0.25, 1.0, 6.0, 40.0, "is there room?", "is everybody served?", "reopen"]))
    def go_on_for(self, what: float | str) -> None:
        if what == "reopen":
            self.run(self.cluster.close())
            self.run(self.cluster.open())
        elif what == "is there room?":
            self.see_that_nobody_waits_where_there_is_room()
        elif isinstance(what, float):
            self.run(asyncio.sleep(what))
        elif any(_serves(self.driver[name]) for name in self.cluster.nodes):
            self.run(self.serve_all())
        self.check_when_settled()

    def see_that_nobody_waits_where_there_is_room(self) -> None:
        """Though nothing comes back: after a breaker's longest pause, a hanging reset and some logins."""
        self.run(asyncio.sleep(20))
        self.check_when_settled()
        if not self.waiting:
            return
        ledger = self.pool.ledger
        out = sum(len(book.leased) for book in ledger.books.values())
        for name, book in ledger.books.items():
            if _serves(self.driver[name]) and not book.closed:
                full = len(book.leased) >= ledger.limits.max_size or out >= ledger.limits.max_total
                assert full, f"waited in vain: {self.pool}, {list(self.driver)}"

    async def serve_all(self) -> None:
        """The next of those who wait gets a connection within a breaker's longest pause, a hanging reset and some logins."""
        for name in self.cluster.nodes:
            if _serves(self.driver[name]):
                self.cluster.resume_node(name)
        deadline = self.loop.time() + 20
        while True:
            await asyncio.sleep(0.25)
            self.collect()
            if self.held:
                deadline = self.loop.time() + 20
            for conn in self.held:
                await self.give_back(conn)
            self.held.clear()
            if not self.waiting:
                return
            assert self.loop.time() < deadline, f"waited in vain: {self.pool}, {list(self.driver)}"

    # -- what always holds ---------------------------------------------------------------------------------------------------

    async def go_on(self, steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)

    async def give_back(self, conn: FakeConnection) -> None:
        """One of a cluster that was closed, or of a node that was removed, meanwhile, is closed already."""
        if conn.closed:
            with suppress(ClusterError):
                await self.cluster.release(conn)
        else:
            await self.cluster.release(conn)

    def collect(self) -> None:
        for task in [task for task in self.waiting if task.done()]:
            target, number = self.waiting.pop(task)
            if task.cancelled():
                continue
            if task.exception() is None:
                assert task.result() not in self.held, "one connection was lent twice"
                self.held.append(task.result())
                self.served[target] = max(number, self.served.get(target, 0))
            else:
                assert isinstance(task.exception(), NotOpen) or "wrong password" in str(task.exception())

    def check_when_settled(self) -> None:
        """Nobody was overtaken, and what is on lease is what somebody has."""
        self.run(moment())
        self.collect()
        for target, number in self.waiting.values():
            assert number > self.served.get(target, 0)
        pool = self.pool
        assert pool.ledger.waiting == len(self.waiting)
        assert all(slot.state is State.LEASED for slot in pool._slots.values() if slot.conn in self.held)
        assert all(slot.conn in self.held for slot in pool._slots.values() if slot.state is State.LEASED)

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "cluster"):
            return
        self.collect()
        pool = self.pool
        slots = [slot for book in pool.ledger.books.values() for slot in book]
        assert {slot for slot in pool._slots.values() if slot.book in pool.ledger.books.values()} == set(slots)
        assert pool.ledger.waiting <= len(self.waiting)
        for book in pool.ledger.books.values():
            assert 0 <= book.connecting <= LOGINS
            assert book.size <= LARGEST
            assert not (pool.ledger.is_too_full(book) and book.idle)

    @invariant()
    def nothing_went_wrong_unseen(self) -> None:
        assert self.wrong == []

    def teardown(self) -> None:
        if hasattr(self, "cluster"):
            self.run(self.end())
        assert asyncio.all_tasks(self.loop) == set()
        assert self.loop.timers == ()
        self.loop.close()
        gc.collect(0)
        assert self.wrong == []

    async def end(self) -> None:
        for server in self.driver:
            _heal(server)
        for name in NAMES:
            if name not in self.cluster.nodes:
                self.cluster.add_node(name, f"fake://app@{name}/test")
        await self.serve_all()
        await self.cluster.close()
        await asyncio.gather(*self.errands, return_exceptions=True)
        self.driver.assert_nothing_open()


def _heal(server: FakeServer) -> None:
    server.outcome = "ok"
    if server.dead:
        server.restart()
    server.thaw()


def _serves(server: FakeServer) -> bool:
    return server.outcome == "ok" and not (server.dead or server.frozen)


Pools.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, database=None)
TestPools = Pools.TestCase
