"""Making a used connection to MySQL or MariaDB as good as new, in one round trip: COM_RESET_CONNECTION and what follows it.

The command rolls back, drops temporary tables, locks, prepared statements and variables. It leaves the default database and
MariaDB's role, it takes away what the login had set, and it switches the autocommit mode to the server's own.
Rule: what a connection needs is found out once, at its first reset; after that all commands are written at once, and only a
default database that was left costs another round trip.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from .wire import INIT_DB, QUERY, RESET_CONNECTION, SET_AUTOCOMMIT, Wire, command, text

__all__ = ["Session", "assignment", "baseline", "finish", "login_of", "reset", "restore"]

_OUT_OF_STEP = 2014
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
    answers: tuple[Callable[[Any], Awaitable[int | None]], ...] = ()
    """What reads the answers to it: the warnings of each, `None` for whatever a user's statement brings."""
    way_back: bytes = b""
    """What leads back to the default database, where that is done only if the autocommit mode shows that it is another one."""


def login_of(wire: Wire, conn: Any) -> Session:
    """What the user of a new connection can change without a trace."""
    return Session(conn._charset, conn._encoding, conn.autocommit_mode, wire.database(conn))


async def baseline(wire: Wire, conn: Any) -> Session:
    """As `Driver.baseline`: the session as it is now."""
    mariadb = "MariaDB" in conn.get_server_info()
    found = await wire.rows(conn, _MARIADB_SET if mariadb else _MYSQL_SET)
    # In the order of the alphabet, for a character set brings its default collation: the collation has to come after it.
    variables = tuple(assignment(text(name), text(value), text(kind)) for name, value, kind in sorted(found))
    if mariadb:
        ((database, role),) = await wire.rows(conn, _WHERE_AND_WHO)
        role = (_role(role) if role is not None else "NONE") if await wire.rows(conn, _ROLES) else None
    else:
        ((database,),) = await wire.rows(conn, "SELECT DATABASE()")
        role = None
    name = None if database is None else text(database)
    return _planned(wire, conn, Session(conn._charset, conn._encoding, conn.get_autocommit(), name, variables, role))


async def reset(wire: Wire, conn: Any, session: Session | None) -> list[int] | None:
    """As `Driver.reset`; without a session, to that of the login. Returns as `finish`."""
    result = conn._result
    if result is not None and result.unbuffered_active:
        raise wire.operational_error(_OUT_OF_STEP, "commands out of step: an unbuffered result was not read to its end")
    wire.check_alive(conn)
    await _read_to_the_end(conn)
    if session is None and not conn.login.commands:
        conn.login = await _first(wire, conn, conn.login)
    session = session or conn.login
    restore(conn, session)
    wire.forget_statements(conn)
    conn._write_bytes(session.commands)
    return await finish(wire, conn, session)


def restore(conn: Any, session: Session) -> None:
    """What the driver itself keeps of a session."""
    conn._charset, conn._encoding, conn.autocommit_mode = session.charset, session.encoding, session.autocommit


async def finish(wire: Wire, conn: Any, session: Session) -> list[int] | None:
    """Read what the server answers to a reset. Returns the session's status in each answer where all are plain: the next
    time they will be the same.
    """
    statuses: list[int] = []
    plain = True
    for read in session.answers:
        conn._next_seq_id = 1  # each command begins a sequence of its own
        plain = await read(conn) == 0 and plain
        statuses.append(conn.server_status)
    if session.autocommit is not None and session.autocommit != conn.get_autocommit():
        if session.way_back:
            wire.send(conn, session.way_back)
            await wire.answer(conn)
        await wire.run(conn, SET_AUTOCOMMIT[session.autocommit])
        return None
    return statuses if plain else None


async def _first(wire: Wire, conn: Any, login: Session) -> Session:
    """Find out what MariaDB's user is by default: the role is the one thing that cannot be asked for when it has changed."""
    if "MariaDB" in conn.get_server_info():
        roles = await wire.rows(conn, _ROLES)
        default = next((_role(name) for name, is_default in roles if text(is_default) == "YES"), "NONE")
        login = login._replace(role=default if roles else None)
    return _planned(wire, conn, login)


def _planned(wire: Wire, conn: Any, session: Session) -> Session:
    """The commands that lead to a session, in the order of the drivers' login, and what reads their answers."""
    sql_mode, init_command = wire.set_up_by(conn)
    steps: list[tuple[int, str, Callable[[Any], Awaitable[int | None]]]] = [(RESET_CONNECTION, "", wire.answer)]
    way_back, off = b"", "0"
    if session.database is not None:
        if session.autocommit is False and init_command is None:
            way_back, off = command(INIT_DB, session.database.encode(session.encoding)), _off_in(session.database)
        else:
            steps.append((INIT_DB, session.database, wire.answer))
    elif init_command is None:  # which may have chosen one
        steps.append((QUERY, _NO_DATABASE, partial(_none_chosen, wire)))
    settings: list[str] = []
    if "MariaDB" not in conn.get_server_info():  # which goes back to what the handshake had said
        settings.append(f"NAMES {session.charset} COLLATE {wire.collation(session.charset)}")
    if sql_mode is not None:
        settings.append(f"sql_mode={sql_mode}")
    if init_command is not None:
        if settings:
            steps.append((QUERY, f"SET {', '.join(settings)}", wire.answer))
            settings = []
        steps += [(QUERY, init_command, _results), (QUERY, "COMMIT", wire.answer)]
    settings += session.variables
    if session.autocommit is False:  # where it is on, it mostly is on by now
        settings.append(f"autocommit={off}")
    if session.role is not None:
        steps.append((QUERY, f"SET ROLE {session.role}", wire.answer))
    if settings:
        steps.append((QUERY, f"SET {', '.join(settings)}", wire.answer))
    commands = b"".join(command(kind, argument.encode(session.encoding)) for kind, argument, _ in steps)
    return session._replace(commands=commands, answers=tuple(read for _, _, read in steps), way_back=way_back)


def _off_in(database: str) -> str:
    """Off, but not in another default database than this: nearly always that saves the command which leads back to it."""
    return f"NOT(BINARY DATABASE() <=> x'{database.encode().hex()}')"


async def _results(conn: Any) -> None:
    """Read whatever a user's statements bring."""
    await conn._read_query_result()
    await _read_to_the_end(conn)


async def _read_to_the_end(conn: Any) -> None:
    """Read the results that follow, those of several statements in one."""
    while conn._result is not None and conn._result.has_next:
        await conn.next_result()
    conn._result = None


async def _none_chosen(wire: Wire, conn: Any) -> int:
    if await wire.answer(conn):
        raise wire.operational_error(_OUT_OF_STEP, "the session has a default database now, which cannot be taken away")
    return 0


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
