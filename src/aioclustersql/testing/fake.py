"""A database driver without a database: servers that do what a test tells them, and count what was done to them.

It implements the `Driver` protocol. Everything is in memory and in the loop's time; with `VirtualLoop` it is exact.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import math
import socket
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from aioclustersql.drivers.base import Endpoint, Password
from aioclustersql.dsn import parse_url, redact
from aioclustersql.errors import ConfigError, NodeNotFit
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role, Target

__all__ = ["FakeConnection", "FakeDriver", "FakeError", "FakeServer", "Outcome", "Traced"]

Outcome = Literal["ok", "refused", "silent", "wrong-password", "not-ready", "overloaded", "blocked", "starting", "reset"]
"""How a login ends.

`ok`; `refused`: nobody listens; `silent`: no answer, ever; `wrong-password`; `not-ready`: the login succeeds and validation
fails; `overloaded`: too many connections; `blocked`: this client host is blocked; `starting`: not yet; `reset`: cut by the peer.
"""

_ERRORS: Mapping[str, Callable[[str], Exception]] = {
    "refused": lambda name: ConnectionRefusedError(111, f"Connect call failed ({name})"),
    "reset": lambda name: ConnectionResetError(104, f"Connection reset by peer ({name})"),
    "wrong-password": lambda name: FakeError(FailureKind.CONFIGURATION, f"access denied on {name}: wrong password"),
    "overloaded": lambda name: FakeError(FailureKind.OVERLOADED, f"{name} has too many connections"),
    "blocked": lambda name: FakeError(FailureKind.HOST_BLOCKED, f"{name} blocks this host: too many connection errors"),
    "starting": lambda name: FakeError(FailureKind.UNREACHABLE, f"{name} is starting up"),
}
_WORDS: frozenset[str] = frozenset({"ok", "silent", "not-ready", *_ERRORS})
_OPTIONS: Mapping[str, type] = {"charset": str, "flag": int, "application_name": str}


class FakeError(Exception):
    """What a `FakeServer` answers; `kind` is what `FakeDriver.classify` says of it."""

    def __init__(self, kind: FailureKind, message: str = "") -> None:
        super().__init__(message or kind.value)
        self.kind = kind

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.kind, str(self)))


class Traced(NamedTuple):
    """One line of `FakeDriver.trace`."""

    time: float
    server: str
    what: Literal["login", "ok", "failed", "interrupted", "goodbye", "terminated", "lost"]


class FakeConnection:
    """What `FakeDriver.connect` returns, and what the application under test gets as its connection."""

    def __init__(self, server: FakeServer, number: int, endpoint: Endpoint, *, ready: bool = True) -> None:
        self.server = server
        self.id = number
        """Unique within the driver, in the order of logins that succeeded."""
        self.options: Mapping[str, Any] = endpoint.arguments
        """The arguments of the login: host, user, database and the options."""
        self.ready = ready
        """False: `validate` and `execute` fail, as on a Galera node outside the primary component."""
        self.how_closed: Literal["goodbye", "terminated", "lost"] | None = None

    @property
    def closed(self) -> bool:
        """Whether it was closed by either side."""
        return self.how_closed is not None

    async def execute(self, statement: str, *args: object) -> Any:
        """Record a statement with the server; what `FakeServer.on_execute` returns for it is the result.

        Raises `FakeError` when the connection is closed or is lost meanwhile, or the server is not ready.
        """
        self._check(FailureKind.FOUND_CLOSED)
        self.server.statements.append(statement)
        await self.server._wait(self.server.query_delay, self)
        self._check(FailureKind.SESSION_LOST)
        return self.server.on_execute(self, statement, args) if self.server.on_execute else None

    def _check(self, kind: FailureKind) -> None:
        if self.closed:
            raise FakeError(kind, f"{self!r}: no answer")
        if not self.ready:
            raise FakeError(FailureKind.NOT_READY, f"{self.server.name} is not ready to serve")

    def __repr__(self) -> str:
        return f"<FakeConnection {self.id} {self.server.name} {self.how_closed or 'open'}>"


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
    password: str | None = None
    """The only right one; `None` accepts any."""
    validate_delay: float | None = None
    close_delay: float | None = None
    query_delay: float | None = None
    max_connect_errors: int | None = None
    """After so many interrupted logins without a success between, further ones are `blocked` (MySQL: 100)."""
    on_execute: Callable[[FakeConnection, str, tuple[object, ...]], Any] | None = None
    """Called for every `FakeConnection.execute`; it returns the result or raises."""

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
        self.logins_under_way = self.max_logins_under_way = 0
        self.closes_under_way = 0
        self._connect_errors = 0
        self._open: dict[int, weakref.ref[FakeConnection]] = {}
        self._waiting: dict[asyncio.Future[None], FakeConnection | None] = {}
        self._held: list[asyncio.Future[None]] = []
        self._note: Callable[[FakeServer, Any], None] = lambda _server, _what: None

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
        _check_outcome(outcome)
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
            self._end(number, "lost")
        self._held.clear()
        _release(self._waiting)

    def restart(self) -> None:
        """Serve again, after a `kill` or instead of one; a frozen server that restarts lost its connections too."""
        self.kill()
        self.dead = False

    async def _wait(self, delay: float | None, conn: FakeConnection | None = None) -> None:
        """Until the answer is due, and not frozen; or the server died, or the connection was terminated."""
        if delay is None and not self.frozen:
            return
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[None] = loop.create_future()
        self._waiting[answered] = conn
        timer = loop.call_later(delay or 0, self._due, answered) if delay != math.inf else None
        try:
            await answered
        finally:
            del self._waiting[answered]
            if timer is not None:
                timer.cancel()

    def _due(self, answered: asyncio.Future[None]) -> None:
        if self.frozen:
            self._held.append(answered)
        else:
            _release([answered])

    def _end(self, number: int, how: Literal["goodbye", "terminated", "lost"]) -> None:
        """End one connection, once."""
        if (ref := self._open.pop(number, None)) is None:
            return
        self.goodbyes += how == "goodbye"
        self.terminated += how == "terminated"
        self.lost += how == "lost"
        self._note(self, how)
        if (conn := ref()) is not None:
            conn.how_closed = how
            _release(answered for answered, user in self._waiting.items() if user is conn)

    def __repr__(self) -> str:
        state = (
            "dead"
            if self.dead
            else "frozen"
            if self.frozen
            else self.outcome
            if isinstance(self.outcome, str)
            else repr(self.outcome)
        )
        return f"<FakeServer {self.name} {state}, open={self.open}, logins={self.logins_under_way}, role={self.role}>"


def _release(waiting: Iterable[asyncio.Future[None]]) -> None:
    for answered in waiting:
        if not answered.done():
            answered.set_result(None)


def _check_outcome(outcome: Outcome | Exception) -> None:
    if not isinstance(outcome, Exception) and outcome not in _WORDS:
        raise ValueError(f"outcome {outcome!r} is unknown; it is an exception or one of {', '.join(sorted(_WORDS))}")


class FakeDriver:
    """A `Driver` whose servers live in the test.

    Give it to a cluster and use the application as always:

        driver = FakeDriver("n1", "n2")
        cluster = Cluster({"n1": "fake://app@n1/shop", "n2": "fake://app@n2/shop"}, driver=driver)
        driver["n1"].outcome = "refused"
        async with cluster.connect() as conn: ...        # a FakeConnection, of n2
        driver.assert_nothing_open()

    `swallow_cancel=True` reproduces a hazard of drivers on Python 3.11: a login that is cancelled half-way returns a live
    connection instead of raising `CancelledError`.
    """

    name = "fake"
    schemes = frozenset({"fake"})

    def __init__(self, *servers: str | FakeServer, swallow_cancel: bool = False) -> None:
        self.servers: dict[str, FakeServer] = {}
        self.swallow_cancel = swallow_cancel
        self.trace: list[Traced] = []
        """Everything that happened: (time, server's name, what), in order."""
        self.max_logins_under_way = 0
        """The most logins that were under way at once, over all servers."""
        self._made = 0
        self._time = 0.0
        for server in servers:
            self.add(server)

    def add(self, server: str | FakeServer) -> FakeServer:
        """Another server, by name or made already."""
        if isinstance(server, str):
            server = FakeServer(server)
        _check_outcome(server.outcome)
        server._note = self._note
        self.servers[server.name] = server
        return server

    def __getitem__(self, name: str) -> FakeServer:
        return self.servers[name]

    def __iter__(self) -> Iterator[FakeServer]:
        return iter(self.servers.values())

    # -- accounting --------------------------------------------------------------------------------------------------

    @property
    def open_connections(self) -> tuple[FakeConnection, ...]:
        """The open connections, over all servers, in the order of their making."""
        return tuple(sorted((conn for server in self for conn in server.connections), key=lambda conn: conn.id))

    @property
    def open(self) -> int:
        """How many connections are open, those that were dropped unclosed included."""
        return sum(server.open for server in self)

    @property
    def logins_under_way(self) -> int:
        """Logins that have begun and not ended."""
        return sum(server.logins_under_way for server in self)

    @property
    def interrupted(self) -> int:
        """Logins that were cancelled half-way."""
        return sum(server.interrupted for server in self)

    @property
    def starts(self) -> list[tuple[float, str]]:
        """(time, server's name) of every login's beginning."""
        return [(line.time, line.server) for line in self.trace if line.what == "login"]

    def assert_only_open(self, *winners: FakeConnection) -> None:
        """Nothing is open but these, and nothing is under way. Raises `AssertionError` that lists the rest."""
        wrong = [f"{conn!r} is open" for conn in self.open_connections if conn not in winners]
        wrong += [f"{conn!r} should be open" for conn in winners if conn not in self.open_connections]
        for server in self:
            if dropped := server.open - len(server.connections):
                wrong.append(f"{server.name}: {dropped} dropped unclosed")
            if server.logins_under_way:
                wrong.append(f"{server.name}: {server.logins_under_way} logins under way")
            if server.closes_under_way:
                wrong.append(f"{server.name}: {server.closes_under_way} closes under way")
        if wrong:
            raise AssertionError("; ".join(wrong))

    def assert_nothing_open(self) -> None:
        """No connection is open, and no login or close is under way. Raises `AssertionError` that lists them."""
        self.assert_only_open()

    # -- the Driver protocol -----------------------------------------------------------------------------------------

    def parse(self, dsn: str, options: Mapping[str, Any]) -> Endpoint:
        """`fake://user:password@host:port/database?charset=...&flag=...&application_name=...`"""
        url = parse_url(dsn)
        if url.scheme not in self.schemes:
            raise ConfigError(f"{redact(dsn)!r} is not a fake:// URL")
        address = f"{url.host}:{url.port}" if url.port is not None else url.host
        arguments = {"host": url.host, "port": url.port, "user": url.user, "database": url.database}
        endpoint = Endpoint(address, MappingProxyType(arguments), url.password)
        return _with_options(_with_options(endpoint, url.options), options)

    def override(self, endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
        """Options over those of `endpoint`; flags are OR-ed."""
        for refused in ("dsn", "host", "port", "user"):
            if refused in options:
                raise ConfigError(f"{refused!r} belongs to the node and cannot be given to one connect")
        return _with_options(endpoint, options)

    async def connect(self, endpoint: Endpoint, password: str | None) -> FakeConnection:
        """Log in to the server of that name, as it is told to behave."""
        server = self.servers.get(endpoint.address) or self.servers.get(endpoint.arguments["host"])
        if server is None:
            raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known ({endpoint.address})")
        server.started += 1
        server.last_password = password
        server.logins_under_way += 1
        server.max_logins_under_way = max(server.max_logins_under_way, server.logins_under_way)
        self.max_logins_under_way = max(self.max_logins_under_way, self.logins_under_way)
        self._note(server, "login")
        try:
            return await self._login(server, endpoint, password)
        except asyncio.CancelledError:
            server.interrupted += 1
            server._connect_errors += 1
            self._note(server, "interrupted")
            raise
        except Exception:
            server.failed += 1
            self._note(server, "failed")
            raise
        finally:
            server.logins_under_way -= 1

    async def _login(self, server: FakeServer, endpoint: Endpoint, password: str | None) -> FakeConnection:
        delay, outcome = server.script.popleft() if server.script else (server.delay, server.outcome)
        _check_outcome(outcome)
        if server.dead:
            outcome = "refused"
        elif server.max_connect_errors is not None and server._connect_errors >= server.max_connect_errors:
            outcome = "blocked"
        elif outcome == "ok" and server.password not in {None, password}:
            outcome = "wrong-password"
        deaths = server.deaths
        try:
            await server._wait(math.inf if outcome == "silent" else delay)
        except asyncio.CancelledError:
            if not self.swallow_cancel or outcome not in {"ok", "not-ready"}:
                raise
        if server.deaths != deaths:
            outcome = "reset"
        if isinstance(outcome, Exception):
            raise outcome
        if outcome in _ERRORS:
            raise _ERRORS[outcome](server.name)
        self._made += 1
        conn = FakeConnection(server, self._made, endpoint, ready=outcome == "ok")
        server._open[conn.id] = weakref.ref(conn)
        server.succeeded += 1
        server._connect_errors = 0
        self._note(server, "ok")
        return conn

    async def validate(self, conn: FakeConnection, target: Target) -> Role:
        """The server's role, after `validate_delay`."""
        conn._check(FailureKind.FOUND_CLOSED)
        await conn.server._wait(conn.server.validate_delay, conn)
        conn._check(FailureKind.SESSION_LOST)
        if target is Target.STANDBY and conn.server.role is Role.PEER:
            raise NodeNotFit(f"{conn.server.name} is one of equals: there is no standby; ask for prefer-standby")
        return conn.server.role

    async def close(self, conn: FakeConnection) -> None:
        """A goodbye, after `close_delay`. Cancelled meanwhile, the connection stays open."""
        if conn.closed:
            return
        conn.server.closes_under_way += 1
        try:
            await conn.server._wait(conn.server.close_delay, conn)
            conn.server._end(conn.id, "goodbye")
        finally:
            conn.server.closes_under_way -= 1

    def terminate(self, conn: FakeConnection) -> None:
        """At once; a close that is under way returns."""
        conn.server._end(conn.id, "terminated")

    def is_closed(self, conn: FakeConnection) -> bool:
        """Whether it was closed by either side."""
        return conn.closed

    def classify(self, exc: BaseException) -> FailureKind:
        """`FakeError.kind`, and what an error of the socket means."""
        match exc:
            case FakeError():
                return exc.kind
            case socket.gaierror():
                return FailureKind.CONFIGURATION
            case TimeoutError():
                return FailureKind.TIMEOUT
            case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError() | EOFError():
                return FailureKind.SESSION_LOST
            case OSError():
                return FailureKind.UNREACHABLE
            case _:
                return FailureKind.OTHER

    def _note(self, server: FakeServer, what: Any) -> None:
        with contextlib.suppress(RuntimeError):  # terminate may be called after the loop's end
            self._time = asyncio.get_running_loop().time()
        self.trace.append(Traced(self._time, server.name, what))

    def __repr__(self) -> str:
        return f"<FakeDriver open={self.open}, logins={self.logins_under_way}, servers=[{', '.join(self.servers)}]>"


def _with_options(endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
    arguments, password = dict(endpoint.arguments), endpoint.password
    for key, value in options.items():
        if key == "password":
            password = _as_password(value)
        elif key not in _OPTIONS:
            nearest = difflib.get_close_matches(key, [*_OPTIONS, "password"], n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; known are {', '.join(_OPTIONS)}"
            raise ConfigError(f"the fake driver knows no option {key!r}{hint}")
        elif _OPTIONS[key] is int:
            try:
                arguments[key] = arguments.get(key, 0) | int(value)
            except (TypeError, ValueError):
                raise ConfigError(f"option {key!r}: {value!r} is not a whole number") from None
        else:
            arguments[key] = value
    return replace(endpoint, arguments=MappingProxyType(arguments), password=password)


def _as_password(value: object) -> Password:
    if value is None or isinstance(value, str) or callable(value):
        return value
    raise ConfigError("a password is a string, or a function that returns one")
