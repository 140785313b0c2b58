"""The connections of a `FakeDriver`: what an application under test holds, with a session and a transaction of their own.

How long an answer takes, and whether one comes at all, is the server's; see `server`. Rule: nothing changes in a session
before the server's answer is due, so that a server which dies in between has done nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from aioclustersql.drivers.base import Endpoint
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role

if TYPE_CHECKING:
    from .server import FakeServer

__all__ = ["FakeConnection", "FakeError"]

_SET = re.compile(r"SET\s+([\w.@]+)(?:\s*=\s*|\s+TO\s+|\s+)(.+?)\s*;?\s*", re.IGNORECASE | re.DOTALL)
_TAKES_NO_WRITES = frozenset({Role.STANDBY, Role.READ_ONLY})


class FakeError(Exception):
    """What a `FakeServer` answers; `kind` is what `FakeDriver.classify` says of it."""

    def __init__(self, kind: FailureKind, message: str = "") -> None:
        super().__init__(message or kind.value)
        self.kind = kind

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.kind, str(self)))


class FakeConnection:
    """What `FakeDriver.connect` returns, and what the application under test gets as its connection."""

    def __init__(self, server: FakeServer, number: int, endpoint: Endpoint, *, ready: bool = True) -> None:
        self.server = server
        self.id = number
        """Unique within the driver, in the order of logins that succeeded."""
        self.options: Mapping[str, Any] = endpoint.arguments
        """The arguments of the login: host, user, database and the options."""
        self.ready = ready
        """False: all but a probe fails, as on a Galera node outside the primary component; see `FakeServer.ready` too."""
        self.how_closed: Literal["goodbye", "terminated", "lost"] | None = None
        self.in_transaction = False
        """After BEGIN, until COMMIT, ROLLBACK or a reset. Set it in `FakeServer.on_execute` to play an implicit commit."""
        self.session: dict[str, str] = {}
        """What `execute("SET name value")` has set; a reset puts back what the driver's `baseline` found."""
        self.savepoints = 0
        """How many were set by the driver; their names are s1, s2, ..."""
        self.heard = asyncio.get_running_loop().time()
        """When the server last answered here."""

    @property
    def closed(self) -> bool:
        """Whether it was closed by either side."""
        return self.how_closed is not None

    async def execute(self, statement: str, *args: object) -> Any:
        """Record a statement with the server; what `FakeServer.on_execute` returns for it is the result.

        BEGIN, START TRANSACTION, COMMIT, ROLLBACK and SET have their effect on `in_transaction` and `session`. A standby or
        read-only server refuses BEGIN without READ ONLY. A COMMIT that `on_execute` fails has ended the transaction all the
        same. Raises `FakeError` when the connection is closed or is lost meanwhile, or the server is not ready.
        """
        self.check(FailureKind.FOUND_CLOSED)
        self.server.statements.append(statement)
        await self.server.answer(self.server.query_delay, self)
        self.check(FailureKind.SESSION_LOST)
        words = statement.upper().rstrip("; ").split()
        verb, begins = words[:1], words[:1] == ["BEGIN"] or words[:2] == ["START", "TRANSACTION"]
        if begins and self.server.role in _TAKES_NO_WRITES and words[-2:] != ["READ", "ONLY"]:
            raise FakeError(FailureKind.ROLE_CHANGED, f"{self.server.name} is {self.server.role}: it takes no writes")
        if verb == ["COMMIT"] or (verb == ["ROLLBACK"] and words[1:2] != ["TO"]):
            self.in_transaction = False
        result = self.server.on_execute(self, statement, args) if self.server.on_execute else None
        if begins:
            self.in_transaction = True
        elif (setting := _SET.fullmatch(statement)) is not None:
            self.session[setting[1]] = setting[2]
        return result

    def check(self, kind: FailureKind) -> None:
        """Raise `FakeError` unless it is open (else of that kind) and served."""
        self.check_open(kind)
        if not (self.ready and self.server.ready):
            raise FakeError(FailureKind.NOT_READY, f"{self.server.name} is not ready to serve")

    def check_open(self, kind: FailureKind) -> None:
        """Raise `FakeError` of that kind if it is closed."""
        if self.closed:
            raise FakeError(kind, f"{self!r}: no answer")

    def __repr__(self) -> str:
        return f"<FakeConnection {self.id} {self.server.name} {self.how_closed or 'open'}>"
