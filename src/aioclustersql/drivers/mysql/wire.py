"""How the rooms of MySQL's drivers talk to a server: statements without a result, rows, and what is in an answer.

The protocol is the same for all of them; `Wire` is what differs from driver to driver. Rule: every answer is read here or by the
driver itself, so that the status which a connection keeps of its session stays true.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from struct import Struct
from typing import Any, ClassVar

__all__ = ["INIT_DB", "QUERY", "RESET_CONNECTION", "SET_AUTOCOMMIT", "Wire", "command", "is_on", "plain_answer", "text"]

INIT_DB, QUERY, RESET_CONNECTION = 0x02, 0x03, 0x1F
"""Commands of the protocol: https://mariadb.com/docs/server/reference/clientserver-protocol"""

SET_AUTOCOMMIT = {False: "SET autocommit=0", True: "SET autocommit=1"}

_COMMAND = Struct("<iB")
_NO_ROWS = b"\0\0\0"
"""How the answer to a statement that changes no row begins: success, no row, no new key."""
_STATUS = Struct("<3xHH")
"""What follows that: the session's status, and the number of warnings."""
_PLAIN = Struct("<iBBBHH")
"""The same as a packet, the first of an answer, and nothing after it."""


class Wire(ABC):
    """One driver's way to its servers. Connections are that driver's own, whoever opened them."""

    error: ClassVar[type[Exception]]
    """The base of the driver's errors."""
    operational_error: ClassVar[type[Exception]]
    programming_error: ClassVar[type[Exception]]
    """What a proxy's refusal of several statements at once arrives as."""
    ok_packet: ClassVar[Any]
    """What reads any other answer of success."""

    @abstractmethod
    def read(self, conn: Any) -> Coroutine[Any, Any, Any]:
        """The next packet; an error packet is raised."""

    @abstractmethod
    async def rows(self, conn: Any, sql: str) -> Sequence[tuple[Any, ...]]:
        """The rows of a query, as tuples whatever cursor class the user has chosen."""

    @abstractmethod
    async def named_rows(self, conn: Any, sql: str) -> Sequence[Mapping[str, Any]]:
        """The rows of a query, by the names of their columns."""

    @abstractmethod
    def drop(self, conn: Any) -> None:
        """Cut the socket off, at once. A task in the middle of a result there gets the driver's error."""

    @abstractmethod
    def check_alive(self, conn: Any) -> None:
        """Raise the driver's error where the connection is closed."""

    @abstractmethod
    def set_up_by(self, conn: Any) -> tuple[str | None, str | None]:
        """What the login has set by way of options: `sql_mode` and `init_command`."""

    @abstractmethod
    def database(self, conn: Any) -> str | None:
        """The default database that the login asked for."""

    @abstractmethod
    def collation(self, charset: str) -> str:
        """The collation of a charset that the driver asks for."""

    def forget_statements(self, conn: Any) -> None:  # noqa: B027 - most drivers have no such cache
        """The server is about to drop its prepared statements: so does the driver's own cache of them."""

    def send(self, conn: Any, packet: bytes) -> None:
        """Write a command that was made before, on a connection without an unread result; its answer is to be read next."""
        self.check_alive(conn)
        conn._write_bytes(packet)
        conn._next_seq_id = 1

    async def run(self, conn: Any, *statements: str) -> int:
        """Run statements without a result, in one round trip; the first that fails ends it. The warnings of the last one.

        Reads the answers itself, because `conn.query` costs twice as much of our time.
        """
        await conn._execute_command(QUERY, ";".join(statements))
        try:
            warnings = await self.answer(conn)
        except self.programming_error:
            if len(statements) == 1:
                raise
            for statement in statements:  # a proxy between that takes one statement at a time
                warnings = await self.run(conn, statement)
            return warnings
        for _ in statements[1:]:
            warnings = await self.answer(conn)
        return warnings

    async def answer(self, conn: Any) -> int:
        """Read one answer without a result: the session's status becomes `conn.server_status`, the warnings are returned."""
        packet = await self.read(conn)
        data: bytes = packet.get_all_data()
        warnings: int
        if data.startswith(_NO_ROWS) and len(data) >= _STATUS.size:
            conn.server_status, warnings = _STATUS.unpack_from(data)
        else:
            ok = self.ok_packet(packet)
            conn.server_status, warnings = ok.server_status, ok.warning_count
        return warnings

    def error_code(self, exc: BaseException) -> int | None:
        """The error code of the server or the client library; 0 counts as none."""
        code = exc.args[0] if isinstance(exc, self.error) and exc.args else None
        return code if isinstance(code, int) and code else None


def command(kind: int, argument: bytes) -> bytes:
    """A command as a packet."""
    return _COMMAND.pack(len(argument) + 1, kind) + argument


def plain_answer(status: int) -> bytes:
    """A packet by which a server says that a statement was executed, changed no row, and brought no warning."""
    return _PLAIN.pack(_STATUS.size | 1 << 24, 0, 0, 0, status, 0)


def is_on(value: object) -> bool:
    """A boolean system variable's value: a number or a word."""
    return text(value).upper() not in ("0", "OFF")


def text(value: object) -> str:
    """A value as text; with `use_unicode=False` words are bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)
