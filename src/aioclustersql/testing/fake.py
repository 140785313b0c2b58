"""A database driver without a database: it implements the `Driver` protocol over `FakeServer`s, and keeps account.

Everything is in memory and in the loop's time; with `VirtualLoop` it is exact.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from aioclustersql.drivers.base import Endpoint, Observation, Password, TransactionOptions
from aioclustersql.drivers.options import check_known, convert_known
from aioclustersql.drivers.sockets import classify_os_error
from aioclustersql.dsn import parse_url, redact
from aioclustersql.errors import ConfigError, NodeNotFit
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role, Target

from . import session
from .connection import FakeConnection, FakeError
from .server import FakeServer, check_outcome, login_error

__all__ = ["FakeDriver", "Traced"]

_OPTIONS: Mapping[str, type] = {"application_name": str, "charset": str, "flag": int, "password": str}


class Traced(NamedTuple):
    """One line of `FakeDriver.trace`."""

    time: float
    server: str
    what: Literal["login", "ok", "failed", "interrupted", "goodbye", "terminated", "lost"]


class FakeDriver:
    """A `Driver` whose servers live in the test.

    Give it to a cluster and use the application as always:

        driver = FakeDriver("n1", "n2")
        cluster = Cluster({"n1": "fake://app@n1/shop", "n2": "fake://app@n2/shop"}, driver=driver)
        driver["n1"].outcome = "refused"
        async with cluster.connect() as conn: ...        # a FakeConnection, of n2
        await cluster.close()
        driver.assert_nothing_open()

    What the application executes, and every BEGIN, COMMIT, ROLLBACK and SAVEPOINT of its transactions, is in
    `FakeServer.statements`, takes `query_delay` and may be answered or failed by `on_execute`:

        def conflict_once(conn, statement, args):
            if statement == "COMMIT" and len(driver["n1"].statements) < 5:
                raise FakeError(FailureKind.ROLLED_BACK, "conflict")

        driver["n1"].on_execute = conflict_once

    `swallow_cancel=True` reproduces a hazard of drivers on Python 3.11: a login that is cancelled half-way returns a live
    connection instead of raising `CancelledError`.
    """

    name = "fake"
    schemes = frozenset({"fake"})
    multi_primary = True

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
        check_outcome(server.outcome)
        server.note = self._note
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
        return _with_options(_with_options(endpoint, convert_known(url.options, _OPTIONS, redact(dsn))), options)

    def override(self, endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
        """Options over those of `endpoint`; flags are OR-ed."""
        for refused in ("dsn", "host", "port", "user", "password"):
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
            server.connect_errors += 1
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
        check_outcome(outcome)
        if server.dead:
            outcome = "refused"
        elif server.max_connect_errors is not None and server.connect_errors >= server.max_connect_errors:
            outcome = "blocked"
        elif outcome == "ok" and server.password not in {None, password}:
            outcome = "wrong-password"
        deaths = server.deaths
        try:
            await server.answer(math.inf if outcome == "silent" else delay)
        except asyncio.CancelledError:
            if not self.swallow_cancel or outcome not in {"ok", "not-ready"}:
                raise
        if server.deaths != deaths:
            outcome = "reset"
        if (error := login_error(outcome, server.name)) is not None:
            raise error
        self._made += 1
        return server.let_in(self._made, endpoint, ready=outcome == "ok")

    async def validate(self, conn: FakeConnection, target: Target) -> Role:
        """The server's role, after `validate_delay`. For `any` it is unknown where the server does not tell it unasked."""
        conn.check(FailureKind.FOUND_CLOSED)
        await conn.server.answer(conn.server.validate_delay, conn)
        conn.check(FailureKind.SESSION_LOST)
        if target is Target.STANDBY and conn.server.role is Role.PEER:
            raise NodeNotFit(f"{conn.server.name} is one of equals: there is no standby; ask for prefer-standby")
        return conn.server.role if conn.server.tells_role or target is not Target.ANY else Role.UNKNOWN

    async def close(self, conn: FakeConnection) -> None:
        """A goodbye, after `close_delay`. Cancelled meanwhile, the connection stays open."""
        if conn.closed:
            return
        conn.server.closes_under_way += 1
        try:
            await conn.server.answer(conn.server.close_delay, conn)
            conn.server.end(conn.id, "goodbye")
        finally:
            conn.server.closes_under_way -= 1

    def terminate(self, conn: FakeConnection) -> None:
        """At once; a close that is under way returns."""
        conn.server.end(conn.id, "terminated")

    def is_closed(self, conn: FakeConnection) -> bool:
        """Whether it was closed by either side."""
        return conn.closed

    async def ping(self, conn: FakeConnection) -> None:
        """One answer, after `ping_delay`. Raises as `FakeConnection.execute` does."""
        await session.ping(conn)

    async def baseline(self, conn: FakeConnection) -> dict[str, str]:
        """What is set in the session; no answer is waited for."""
        return dict(conn.session)

    async def reset(self, conn: FakeConnection, baseline: object) -> None:
        """After `reset_delay` no transaction is open, and `FakeConnection.session` is the baseline."""
        await session.reset(conn, _session(baseline))

    def begin_reset(self, conn: FakeConnection, baseline: object, answered: Callable[[bool], None]) -> bool:
        """The same without a task, where `reset_answer` is another than `read`."""
        return session.begin_reset(conn, _session(baseline), answered)

    async def finish_reset(self, conn: FakeConnection, baseline: object) -> None:
        """What is left of one whose answer is `unusual`, or that was lost."""
        session.finish_reset(conn, _session(baseline))

    def in_transaction(self, conn: FakeConnection) -> bool:
        """`FakeConnection.in_transaction`; of a closed connection the last answer."""
        return conn.in_transaction

    async def begin(self, conn: FakeConnection, options: TransactionOptions) -> session.FakeTransaction:
        """By `execute("BEGIN ...")`, or `execute("SAVEPOINT s1")` in a transaction; so do its commit and rollback."""
        return await session.begin(conn, options)

    async def probe(self, conn: FakeConnection, *, causal: bool) -> Observation:
        """What the server's attributes say, after `probe_delay`, and `causal_delay` where that is asked for."""
        return await session.probe(conn, causal=causal)

    def last_received(self, conn: FakeConnection) -> float | None:
        """Seconds since the server's last answer on this connection; `None` when it is closed."""
        return None if conn.closed else asyncio.get_running_loop().time() - conn.heard

    def unwrap(self, conn: object) -> object:
        """It has no pool, hence no proxies."""
        return conn

    def classify(self, exc: BaseException) -> FailureKind:
        """`FakeError.kind`, and what an error of the socket means."""
        if isinstance(exc, FakeError):
            return exc.kind
        return classify_os_error(exc) or FailureKind.OTHER

    def _note(self, server: FakeServer, what: Any) -> None:
        with contextlib.suppress(RuntimeError):  # terminate may be called after the loop's end
            self._time = asyncio.get_running_loop().time()
        self.trace.append(Traced(self._time, server.name, what))

    def __repr__(self) -> str:
        return f"<FakeDriver open={self.open}, logins={self.logins_under_way}, servers=[{', '.join(self.servers)}]>"


def _session(baseline: object) -> dict[str, str]:
    return baseline if isinstance(baseline, dict) else {}


def _with_options(endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
    check_known(options, _OPTIONS, "the fake driver")
    arguments = {**endpoint.arguments, **options}
    password: Password = arguments.pop("password", endpoint.password)
    if "flag" in options:
        arguments["flag"] = endpoint.arguments.get("flag", 0) | options["flag"]
    return replace(endpoint, arguments=MappingProxyType(arguments), password=password)
