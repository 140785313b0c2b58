"""Making a used aiomysql connection as good as new, in one round trip: COM_RESET_CONNECTION and what restores the login.

The command rolls back, drops temporary tables, locks, prepared statements and variables. It leaves the default database and
MariaDB's role, it takes away what the login had set, and it switches the autocommit mode to the server's own.
Rule: what a connection needs is found out once, at its first reset; after that all commands are written at once.
"""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

import aiomysql
from pymysql.charset import charset_by_name
from pymysql.constants import COMMAND

from .aiomysql_wire import answer, rows, run, text

if TYPE_CHECKING:
    from .aiomysql_connection import Connection

__all__ = ["Session", "assignment", "baseline", "login_of", "reset"]

_RESET_CONNECTION = 0x1F
_OUT_OF_STEP = 2014
_HEADER = Struct("<iB")
# EXP(710) overflows: an error on MySQL, a warning on MariaDB. A default database can be changed, but not given back.
_NO_DATABASE = "DO IF(DATABASE() IS NULL, 1, EXP(710))"

# Aliases of others, and what is none of `init`'s business.
_NEVER = "('AUTOCOMMIT', 'WSREP_CAUSAL_READS', 'GTID_OWNED', 'PSEUDO_THREAD_ID')"
_MARIADB_SET = f"""
SELECT variable_name, session_value, variable_type FROM information_schema.system_variables
 WHERE variable_scope = 'SESSION' AND read_only = 'NO' AND session_value IS NOT NULL
   AND NOT session_value <=> global_value AND variable_name NOT IN {_NEVER}
UNION ALL
SELECT CONCAT('@`', REPLACE(variable_name, '`', '``'), '`'), variable_value, variable_type
  FROM information_schema.user_variables
 WHERE variable_value IS NOT NULL AND NOT (variable_type = 'VARCHAR' AND character_set_name = 'binary')"""  # noqa: S608
_MYSQL_SET = f"""
SELECT s.variable_name, s.variable_value, '' FROM performance_schema.session_variables s
  JOIN performance_schema.global_variables g ON g.variable_name = s.variable_name
 WHERE NOT s.variable_value <=> g.variable_value AND UPPER(s.variable_name) NOT IN {_NEVER}"""  # noqa: S608
_WHERE_AND_WHO = "SELECT DATABASE(), CURRENT_ROLE()"
_ROLES = "SELECT role_name, is_default FROM information_schema.applicable_roles"
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Session(NamedTuple):
    """What a reset is to lead back to."""

    charset: str
    encoding: str
    autocommit: bool | None
    """None: the server's own default."""
    database: str | None
    variables: tuple[str, ...] = ()
    """Further assignments for SET."""
    role: str | None = None
    """MariaDB's role as an argument of SET ROLE; None where the user has no choice."""
    commands: bytes = b""
    """All that is written, once it is known."""
    answers: tuple[Callable[[aiomysql.Connection], Awaitable[Any]], ...] = ()
    """What reads the answers to it."""


def login_of(conn: aiomysql.Connection) -> Session:
    """What the user of a new connection can change without a trace."""
    return Session(conn._charset, conn._encoding, conn.autocommit_mode, conn._db)


async def baseline(conn: aiomysql.Connection) -> Session:
    """As `Driver.baseline`: the session as it is now."""
    mariadb = "MariaDB" in conn.get_server_info()
    found = await rows(conn, _MARIADB_SET if mariadb else _MYSQL_SET)
    # In the order of the alphabet, for a character set brings its default collation: the collation has to come after it.
    variables = tuple(assignment(text(name), text(value), text(kind)) for name, value, kind in sorted(found))
    if mariadb:
        ((database, role),) = await rows(conn, _WHERE_AND_WHO)
        role = (_role(role) if role is not None else "NONE") if await rows(conn, _ROLES) else None
    else:
        ((database,),) = await rows(conn, "SELECT DATABASE()")
        role = None
    name = None if database is None else text(database)
    return _planned(conn, Session(conn._charset, conn._encoding, conn.get_autocommit(), name, variables, role))


async def reset(conn: Connection, session: Session | None) -> None:
    """As `Driver.reset`; without a session, to that of the login."""
    result = conn._result
    if result is not None and result.unbuffered_active:
        raise aiomysql.OperationalError(_OUT_OF_STEP, "commands out of step: an unbuffered result was not read to its end")
    conn._ensure_alive()
    await _read_to_the_end(conn)
    if session is None:
        session = conn.login
        if not session.commands:
            session = conn.login = await _first(conn, session)
    conn._charset, conn._encoding, conn.autocommit_mode = session.charset, session.encoding, session.autocommit
    conn._write_bytes(session.commands)
    for read in session.answers:
        conn._next_seq_id = 1  # each command begins a sequence of its own
        await read(conn)
    if session.autocommit is not None and session.autocommit != conn.get_autocommit():
        await run(conn, f"SET autocommit={session.autocommit:d}")


async def _first(conn: aiomysql.Connection, login: Session) -> Session:
    """Find out what MariaDB's user is by default: the role is the one thing that cannot be asked for when it has changed."""
    if "MariaDB" in conn.get_server_info():
        roles = await rows(conn, _ROLES)
        default = next((_role(name) for name, is_default in roles if text(is_default) == "YES"), "NONE")
        login = login._replace(role=default if roles else None)
    return _planned(conn, login)


def _planned(conn: aiomysql.Connection, session: Session) -> Session:
    """The commands that lead to a session, in the order of aiomysql's login, and what reads their answers."""
    steps: list[tuple[int, str, Callable[[aiomysql.Connection], Awaitable[Any]]]] = [(_RESET_CONNECTION, "", answer)]
    if session.database is not None:
        steps.append((COMMAND.COM_INIT_DB, session.database, answer))
    elif conn.init_command is None:  # which may have chosen one
        steps.append((COMMAND.COM_QUERY, _NO_DATABASE, _none_chosen))
    settings: list[str] = []
    if "MariaDB" not in conn.get_server_info():  # which goes back to what the handshake had said
        settings.append(f"NAMES {session.charset} COLLATE {charset_by_name(session.charset).collation}")
    if conn.sql_mode is not None:
        settings.append(f"sql_mode={conn.sql_mode}")
    if conn.init_command is not None:
        if settings:
            steps.append((COMMAND.COM_QUERY, f"SET {', '.join(settings)}", answer))
            settings = []
        steps += [(COMMAND.COM_QUERY, conn.init_command, _results), (COMMAND.COM_QUERY, "COMMIT", answer)]
    settings += session.variables
    if session.autocommit is False:  # where it is on, it mostly is on by now
        settings.append("autocommit=0")
    if session.role is not None:
        steps.append((COMMAND.COM_QUERY, f"SET ROLE {session.role}", answer))
    if settings:
        steps.append((COMMAND.COM_QUERY, f"SET {', '.join(settings)}", answer))
    commands = b"".join(_packet(command, argument.encode(session.encoding)) for command, argument, _ in steps)
    return session._replace(commands=commands, answers=tuple(read for _, _, read in steps))


def _packet(command: int, argument: bytes) -> bytes:
    return _HEADER.pack(len(argument) + 1, command) + argument


async def _results(conn: aiomysql.Connection) -> None:
    """Read whatever a user's statements bring."""
    await conn._read_query_result()
    await _read_to_the_end(conn)


async def _read_to_the_end(conn: Any) -> None:
    """Read the results that follow, those of several statements in one."""
    while conn._result is not None and conn._result.has_next:
        await conn.next_result()
    conn._result = None


async def _none_chosen(conn: aiomysql.Connection) -> None:
    if await answer(conn):
        raise aiomysql.OperationalError(_OUT_OF_STEP, "the session has a default database now, which cannot be taken away")


def assignment(name: str, value: str, kind: str) -> str:
    """A variable's assignment in SET, in the words of the server's catalogue; without a type, a number is what looks like one."""
    numeric = any(word in kind for word in ("INT", "DOUBLE", "DECIMAL")) if kind else _NUMBER.fullmatch(value) is not None
    return f"{name}={value if numeric else _literal(value)}"


def _literal(value: str) -> str:
    """A string that means the same under every sql_mode and charset."""
    if value.isascii() and "\\" not in value:
        return "'" + value.replace("'", "''") + "'"
    return f"CONVERT(x'{value.encode().hex()}' USING utf8mb4)"


def _role(name: object) -> str:
    return "`" + text(name).replace("`", "``") + "`"
