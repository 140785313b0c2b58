"""Servers in memory that do what a test tells them, and count what was done to them.

Everything is on the loop's clock; what a login is and how it ends is decided in `fake`, what a connection does in `connection`.
"""

from __future__ import annotations

import asyncio
import math
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aioclustersql.drivers.base import Endpoint
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role

from .connection import FakeConnection, FakeError

__all__ = ["FakeServer", "Outcome", "ResetAnswer", "check_outcome", "login_error"]

Outcome = Literal["ok", "refused", "silent", "wrong-password", "not-ready", "overloaded", "blocked", "starting", "reset"]
"""How a login ends.

`ok`; `refused`: nobody listens; `silent`: no answer, ever; `wrong-password`; `not-ready`: the login succeeds and validation
fails; `overloaded`: too many connections; `blocked`: this client host is blocked; `starting`: not yet; `reset`: cut by the peer.
"""

ResetAnswer = Literal["read", "usual", "unusual"]
"""How a connection is reset: in a task that reads the answer; without a task, as its answer is the usual one; or is not."""

_ERRORS: Mapping[str, Callable[[str], Exception]] = {
    "refused": lambda name: ConnectionRefusedError(111, f"Connect call failed ({name})"),
    "reset": lambda name: ConnectionResetError(104, f"Connection reset by peer ({name})"),
    "wrong-password": lambda name: FakeError(FailureKind.CONFIGURATION, f"access denied on {name}: wrong password"),
    "overloaded": lambda name: FakeError(FailureKind.OVERLOADED, f"{name} has too many connections"),
    "blocked": lambda name: FakeError(FailureKind.HOST_BLOCKED, f"{name} blocks this host: too many connection errors"),
    "starting": lambda name: FakeError(FailureKind.UNREACHABLE, f"{name} is starting up"),
}
_WORDS: frozenset[str] = frozenset({"ok", "silent", "not-ready", *_ERRORS})


def login_error(outcome: Outcome | Exception, server: str) -> Exception | None:
    """What a login that ends so raises; None when it succeeds."""
    if isinstance(outcome, Exception):
        return outcome
    return _ERRORS[outcome](server) if outcome in _ERRORS else None


@dataclass(eq=False)
class FakeServer:
    """A server of a `FakeDriver`. Every attribute may be changed at any time; a login keeps what it began with.

    Delays are seconds on the loop's clock: 0 takes one turn of the loop, `None` takes no turn at all (with eager tasks such
    a login is over before its task is returned), `math.inf` never ends.
    """

    name: str
    """The host in `fake://user@host/database`, or host:port."""
    delay: float | None = 0.0
    """What a login takes, up to its outcome."""
    outcome: Outcome | Exception = "ok"
    """How logins end: a word, or an exception to raise."""
    role: Role = Role.PEER
    """What validation answers."""
    tells_role: bool = True
    """Whether validation answers that for `any`, too, as PostgreSQL's logins do; MySQL's do not."""
    password: str | None = None
    """The only right one; `None` accepts any."""
    validate_delay: float | None = None
    close_delay: float | None = None
    query_delay: float | None = None
    max_connect_errors: int | None = None
    """After so many interrupted logins without a success between, further ones are `blocked` (MySQL: 100)."""
    on_execute: Callable[[FakeConnection, str, tuple[object, ...]], Any] | None = None
    """Called for every `FakeConnection.execute`, those of transactions too; it returns the result or raises."""
    ping_delay: float | None = None
    reset_delay: float | None = None
    reset_answer: ResetAnswer = "read"
    probe_delay: float | None = None
    causal_delay: float | None = None
    """What a probe takes on top that waits until the server has caught up with its cluster."""
    ready: bool = True
    """False: it lets in and answers probes, and fails everything else (`FailureKind.NOT_READY`)."""
    degraded: bool = False
    """What a probe says, as `cause`, `timeline`, `lag` and `lag_bytes`."""
    cause: str | None = None
    timeline: int | None = None
    lag: float | None = 0.0
    lag_bytes: int | None = 0

    def __post_init__(self) -> None:
        self.script: deque[tuple[float | None, Outcome | Exception]] = deque()
        """(delay, outcome) of the next logins, before `delay` and `outcome` apply again."""
        self.statements: list[str] = []
        self.last_password: str | None = None
        """What the last login gave."""
        self.frozen = False
        self.dead = False
        self.deaths = 0
        self.started = self.succeeded = self.failed = self.interrupted = 0
        """Logins: begun; ended well; ended in an error; cancelled half-way."""
        self.goodbyes = self.terminated = self.lost = 0
        """Connections closed with a goodbye; without; by the server's death."""
        self.pings = self.resets = self.probes = self.causal_probes = 0
        """How often each was asked for; a causal probe is a probe too."""
        self.logins_under_way = self.max_logins_under_way = 0
        self.closes_under_way = 0
        self.connect_errors = 0
        """Interrupted logins since the last success; see `max_connect_errors`."""
        self._open: dict[int, weakref.ref[FakeConnection]] = {}
        self._waiting: dict[asyncio.Future[None], FakeConnection | None] = {}
        self._held: list[asyncio.Future[None]] = []
        self.note: Callable[[FakeServer, Any], None] = lambda _server, _what: None

    @property
    def connections(self) -> tuple[FakeConnection, ...]:
        """The open connections that are still referred to by somebody."""
        return tuple(conn for ref in self._open.values() if (conn := ref()) is not None)

    @property
    def open(self) -> int:
        """How many connections are open, those that were dropped unclosed included."""
        return len(self._open)

    def then(self, delay: float | None, outcome: Outcome | Exception) -> FakeServer:
        """Script the next login; may be called repeatedly for the ones after it. Returns the server itself."""
        check_outcome(outcome)
        self.script.append((delay, outcome))
        return self

    def freeze(self) -> None:
        """Answer nothing until `thaw`: what is under way hangs, and so does what comes."""
        self.frozen = True

    def thaw(self) -> None:
        """Answer again; what came due while frozen is answered now."""
        self.frozen = False
        _release(self._held)
        self._held.clear()

    def kill(self) -> None:
        """Die: logins under way fail, open connections are lost, new logins are refused until `restart`."""
        self.dead, self.frozen = True, False
        self.deaths += 1
        for number in list(self._open):
            self.end(number, "lost")
        self._held.clear()
        _release(self._waiting)

    def restart(self) -> None:
        """Serve again, after a `kill` or instead of one; a frozen server that restarts lost its connections too."""
        self.kill()
        self.dead = False

    async def answer(self, delay: float | None, conn: FakeConnection | None = None) -> None:
        """Until the answer is due, and not frozen; or the server died, or the connection was terminated."""
        loop = asyncio.get_running_loop()
        if delay is not None or self.frozen:
            await self._until_due(delay, conn, loop)
        if conn is not None and not conn.closed:
            conn.heard = loop.time()

    def when_answered(self, delay: float | None, conn: FakeConnection, then: Callable[[], object]) -> None:
        """As `answer`, for what is no task: `then` is called, never at once."""

        def heard(_: asyncio.Future[None]) -> None:
            forget()
            if not conn.closed:
                conn.heard = loop.time()
            then()

        loop = asyncio.get_running_loop()
        answered, forget = self._ask(delay, conn, loop)
        answered.add_done_callback(heard)

    async def _until_due(self, delay: float | None, conn: FakeConnection | None, loop: asyncio.AbstractEventLoop) -> None:
        answered, forget = self._ask(delay, conn, loop)
        try:
            await answered
        finally:
            forget()

    def _ask(
        self, delay: float | None, conn: FakeConnection | None, loop: asyncio.AbstractEventLoop
    ) -> tuple[asyncio.Future[None], Callable[[], None]]:
        """What is done when the answer is due, and what is to be called then."""
        answered: asyncio.Future[None] = loop.create_future()
        self._waiting[answered] = conn
        timer = loop.call_later(delay or 0, self._due, answered) if delay != math.inf else None

        def forget() -> None:
            del self._waiting[answered]
            if timer is not None:
                timer.cancel()

        return answered, forget

    def let_in(self, number: int, endpoint: Endpoint, *, ready: bool) -> FakeConnection:
        """Open a connection; it counts as open until `end`, even when nobody refers to it any more."""
        conn = FakeConnection(self, number, endpoint, ready=ready)
        self._open[number] = weakref.ref(conn)
        self.succeeded += 1
        self.connect_errors = 0
        self.note(self, "ok")
        return conn

    def _due(self, answered: asyncio.Future[None]) -> None:
        if self.frozen:
            self._held.append(answered)
        else:
            _release([answered])

    def end(self, number: int, how: Literal["goodbye", "terminated", "lost"]) -> None:
        """End one connection, once."""
        if (ref := self._open.pop(number, None)) is None:
            return
        self.goodbyes += how == "goodbye"
        self.terminated += how == "terminated"
        self.lost += how == "lost"
        self.note(self, how)
        if (conn := ref()) is not None:
            conn.how_closed = how
            _release(answered for answered, user in self._waiting.items() if user is conn)

    def __repr__(self) -> str:
        state = "dead" if self.dead else "frozen" if self.frozen else str(self.outcome)
        return f"<FakeServer {self.name} {state}, open={self.open}, logins={self.logins_under_way}, role={self.role}>"


def _release(waiting: Iterable[asyncio.Future[None]]) -> None:
    for answered in waiting:
        if not answered.done():
            answered.set_result(None)


def check_outcome(outcome: Outcome | Exception) -> None:
    """Raise `ValueError` for what is no outcome."""
    if not isinstance(outcome, Exception) and outcome not in _WORDS:
        raise ValueError(f"outcome {outcome!r} is unknown; it is an exception or one of {', '.join(sorted(_WORDS))}")
