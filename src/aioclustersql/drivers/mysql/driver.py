"""What every driver of MySQL and MariaDB (Galera too) does alike: login, validation, sessions, probes, the meaning of errors.

A driver's own are its connections, how they are opened and how they end. What becomes of one in use is in `reset` and
`transaction`. Rule: whatever ends a login early, its socket is closed before the exception leaves here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from typing import Any, Generic, TypeVar

from ...errors import ConfigError, NodeNotFit
from ...failure import FailureKind
from ...node import Role, Target
from ..base import Endpoint, Observation, Transaction, TransactionOptions
from ..sockets import classify_os_error
from ..tls import Tls
from . import probe, reset, transaction
from .errors import HOST_BLOCKED_NOTE, classify_code
from .options import MySQLOptions, as_latin1
from .wire import QUERY, SET_AUTOCOMMIT, Wire, command, is_on, text

__all__ = ["MySQLDriver"]

C = TypeVar("C")

_READY = "DO 1"
_ALWAYS = "TRUE"
# CONCAT, because read_only is a number up to MariaDB 11 and a word (OFF, ON, NO_LOCK, ...) after it.
_IS_WRITABLE = "CONCAT(@@global.read_only) IN ('0', 'OFF')"
# EXP(710) overflows, and only where it is evaluated: an error on MySQL, a warning in the answer's header on MariaDB.
_EVALUATE = "DO IF({}, 1, EXP(710))"
_OUT_OF_RANGE = 1690
_SWITCH_IF = {
    (condition, mode): command(QUERY, f"EXECUTE IMMEDIATE IF({condition}, '{switch}', '{_READY}')".encode())
    for condition in (_ALWAYS, _IS_WRITABLE)
    for mode, switch in SET_AUTOCOMMIT.items()
}
"""Made once, because every connect sends one."""
_ROLE = "SELECT @@global.read_only, @@global.wsrep_on"
_ROLE_ANYWHERE = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'wsrep_on')"  # slower, but MySQL has no wsrep_on
_UNKNOWN_VARIABLE = 1193

_TEXTS = (
    # the drivers and the libraries under it raise these without a code
    ("Not connected", FailureKind.FOUND_CLOSED),
    ("Cancelled during execution", FailureKind.FOUND_CLOSED),
    ("Packet sequence number wrong", FailureKind.SESSION_LOST),
    ("caching sha2", FailureKind.CONFIGURATION),
    ("server's public key", FailureKind.CONFIGURATION),
    ("extra packet for auth method", FailureKind.CONFIGURATION),
    ("'cryptography' package is required", FailureKind.CONFIGURATION),
    ("the handler is closed", FailureKind.FOUND_CLOSED),  # uvloop, on writing to a closed transport
)


class MySQLDriver(ABC, Generic[C]):
    """The `Driver` of a family; `wire` and `options`, and what is abstract, are a driver's own."""

    multi_primary = True

    def __init__(self, wire: Wire, options: MySQLOptions) -> None:
        self.name: str = options.name
        self.schemes: frozenset[str] = options.schemes
        self._wire = wire
        self._options = options

    def parse(self, dsn: str, options: Mapping[str, Any]) -> Endpoint:
        """A node's URL and its connect options; see `MySQLOptions.parse`."""
        return self._options.parse(dsn, options)

    def override(self, endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
        """The options of one connect over the node's; see `MySQLOptions.override`."""
        return self._options.override(endpoint, options)

    @abstractmethod
    def make(self, arguments: Mapping[str, Any], tls: Tls | None) -> Any:
        """A connection that is not open yet; `tls` is None on a unix socket, which is never encrypted, as in libpq."""

    @abstractmethod
    def log_in(self, conn: Any) -> Coroutine[Any, Any, Any]:
        """Open it."""

    @abstractmethod
    def terminate(self, conn: C) -> None:
        """Close the socket at once. A task that is waiting for a result there gets error 2013."""

    async def connect(self, endpoint: Endpoint, password: str | None) -> C:
        """Log in. What is in a `read_default_file` moves no node.

        The autocommit mode is set by `validate`, which has a statement to send anyway: a round trip less.
        """
        conn = self._new(endpoint, password)
        wanted, conn.autocommit_mode = conn.autocommit_mode, None
        try:
            await self.log_in(conn)
        except BaseException as exc:
            self.terminate(conn)
            if isinstance(exc, self._wire.error) and self.classify(exc) is FailureKind.HOST_BLOCKED:
                exc.add_note(HOST_BLOCKED_NOTE)
            raise
        conn.autocommit_mode = wanted
        conn.login = reset.login_of(self._wire, conn)
        opened: C = conn
        return opened

    def _new(self, endpoint: Endpoint, password: str | None) -> Any:
        arguments = dict(endpoint.arguments)
        if password is not None:
            arguments["password"] = as_latin1(password)
        conn = self.make(arguments, None if "unix_socket" in arguments else endpoint.extra)
        if "read_default_file" in arguments:
            # Such a file goes over the arguments, and a `host` in it would make all nodes one.
            conn._unix_socket = arguments.get("unix_socket")
            conn._host, conn._port = arguments.get("host", "localhost"), arguments.get("port", 3306)
        return conn

    async def validate(self, conn: C, target: Target) -> Role:
        """One round trip for `any` and `read-write`: 1047 on a Galera node that serves nothing."""
        if target is Target.ANY:
            await self._holds(conn, _ALWAYS)
            return Role.UNKNOWN
        if target in (Target.READ_WRITE, Target.PRIMARY):
            if await self._holds(conn, _IS_WRITABLE):
                return Role.PRIMARY
        else:
            await self._holds(conn, _ALWAYS)
        read_only, galera = await self._role(conn)
        if galera and target is Target.STANDBY:
            raise NodeNotFit(
                "a Galera node is no standby, all its nodes hold the same rank; use target='prefer-standby' or 'any', "
                "or 'read-only' for a node with read_only=1",
                lasting=True,
            )
        if galera:
            return Role.READ_ONLY if read_only else Role.PEER
        return Role.STANDBY if read_only else Role.PRIMARY

    async def _holds(self, conn: Any, condition: str) -> bool:
        """Whether a condition holds on a node that serves, in one round trip with the autocommit mode where that has to be set.

        `SET` alone will not do: a Galera node that serves nothing lets it pass, unless MariaDB executes it from a string.
        """
        mode = conn.autocommit_mode
        if mode is None or mode == conn.get_autocommit():
            return await self._evaluated(conn, condition)
        if "MariaDB" in conn.get_server_info() and await self._switched(conn, condition, mode):
            return True
        return await self._evaluated(conn, condition, SET_AUTOCOMMIT[mode])

    async def _switched(self, conn: Any, condition: str, mode: bool) -> bool:
        """One statement, and so one answer, whose status tells whether the condition held."""
        try:
            self._wire.send(conn, _SWITCH_IF[condition, mode])
            await self._wire.answer(conn)
        except self._wire.error as exc:
            if self.classify(exc) is not FailureKind.OTHER:  # else MariaDB is before 10.2, or out of prepared statements
                raise
        return bool(conn.get_autocommit() == mode)

    async def _evaluated(self, conn: Any, condition: str, *before: str) -> bool:
        """Whether a condition holds, after other statements and in the same round trip."""
        try:
            warnings = await self._wire.run(conn, *before, _EVALUATE.format(condition))
        except self._wire.error as exc:
            if self._wire.error_code(exc) != _OUT_OF_RANGE:
                raise
        else:
            if warnings == 0:
                return True
        ((holds,),) = await self._wire.rows(conn, f"SELECT {condition}")
        return bool(int(holds))

    async def _role(self, conn: Any) -> tuple[bool, bool]:
        """Whether it is read_only, and whether it is a Galera node."""
        if "MariaDB" in conn.get_server_info():
            try:
                ((read_only, galera),) = await self._wire.rows(conn, _ROLE)
                return is_on(read_only), is_on(galera)
            except self._wire.error as exc:
                if self._wire.error_code(exc) != _UNKNOWN_VARIABLE:  # built without wsrep
                    raise
        values = {text(name): value for name, value in await self._wire.rows(conn, _ROLE_ANYWHERE)}
        return is_on(values["read_only"]), is_on(values.get("wsrep_on", 0))

    async def ping(self, conn: C) -> None:
        """As `Driver.ping`. Not COM_PING, which a Galera node answers that serves nothing."""
        await self._wire.run(conn, _READY)

    async def baseline(self, conn: C) -> reset.Session:
        """As `Driver.baseline`: charset, autocommit mode, default database, system variables; on MariaDB the role, and what
        user variables hold text or numbers.
        """
        return await reset.baseline(self._wire, conn)

    async def reset(self, conn: C, baseline: object) -> None:
        """As `Driver.reset`, in one round trip (the first one of a connection to MariaDB in two). Raises 2014 in the middle of an
        unbuffered result. A proxy between has to take commands that are sent without waiting for each answer.
        """
        await reset.reset(self._wire, conn, baseline if isinstance(baseline, reset.Session) else None)

    def in_transaction(self, conn: C) -> bool:
        """As `Driver.in_transaction`. An error carries no status: what a deadlock rolled back shows with the next answer."""
        return transaction.in_transaction(conn)

    async def begin(self, conn: C, options: TransactionOptions) -> Transaction:
        """As `Driver.begin`, in one round trip; what ends it restores the autocommit mode in the same."""
        return await transaction.begin(self._wire, conn, options)

    async def probe(self, conn: C, *, causal: bool) -> Observation:
        """As `Driver.probe`. A server with read_only=1 and without Galera is a standby, whose lag is None where the user has no
        right to ask for it (REPLICATION CLIENT; MariaDB: SLAVE MONITOR).
        """
        return await probe.probe(self._wire, conn, causal=causal)

    def unwrap(self, conn: object) -> object:
        """Its pool hands out the connections themselves."""
        return conn

    def classify(self, exc: BaseException) -> FailureKind:
        """The first meaning found along `__cause__`; of error 2003 the cause tells more than the code."""
        wrapped: FailureKind | None = None
        step: BaseException | None = exc
        while step is not None:
            kind = self._meaning(step)
            if kind is not None and kind is not FailureKind.UNREACHABLE:
                return kind
            wrapped, step = wrapped or kind, step.__cause__
        return wrapped or FailureKind.OTHER

    def _meaning(self, exc: BaseException) -> FailureKind | None:
        """What this one exception says, whatever caused it."""
        if isinstance(exc, ConfigError):
            return FailureKind.CONFIGURATION
        code = self._wire.error_code(exc)
        if code is not None:
            return classify_code(code, str(exc))
        if isinstance(exc, (self._wire.error, RuntimeError)):
            return next((kind for text, kind in _TEXTS if text in str(exc)), None)
        return classify_os_error(exc)
