"""What psycopg's exceptions mean. One that the server answers a query with has a SQLSTATE; of a failed login there is text only.

Rule: text is read where libpq keeps the code to itself, and nowhere else; a text that is not known says nothing of the node. The
server's part of it is in the server's language (`lc_messages`): what is not English is a lost session, which is tried again.
"""

from __future__ import annotations

import re

import psycopg

from ..errors import ConfigError
from ..failure import FailureKind
from .postgres.errors import classify_sqlstate
from .sockets import NO_SUCH_NAME, classify_os_error

__all__ = ["classify"]

_RESOLVING = "failed to resolve host"
_ERRNO = re.compile(r"\[Errno (-?\d+)\]")

# The first that fits. A message of several addresses holds several of them: what may heal stands first.
_TEXTS: tuple[tuple[FailureKind, tuple[str, ...]], ...] = (
    (FailureKind.FOUND_CLOSED, ("the connection is closed", "the connection is lost")),
    (FailureKind.OVERLOADED, ("too many clients", "remaining connection slots", "too many connections")),
    (FailureKind.UNREACHABLE, ("the database system is", "Connection refused", "No route to host", "Network is unreachable")),
    (FailureKind.UNREACHABLE, ("No such file or directory\n\tIs the server running", "Host is down")),
    (FailureKind.TIMEOUT, ("timeout expired", "Connection timed out")),
    (
        FailureKind.CONFIGURATION,
        (
            *("authentication failed", "no password supplied", "no pg_hba.conf entry", "pg_hba.conf rejects"),
            *("is not permitted to log in", "is not currently accepting connections", "permission denied for database"),
            *("unrecognized configuration parameter", "invalid value for parameter", "requires a valid client certificate"),
            *("does not support SSL", "certificate verify failed", "server certificate for", "root certificate file"),
            *("could not load", "private key file", "certificate file", "SSL error", "sslmode", "invalid connection option"),
            *("authentication method requirement", "does not match host name", "could not translate host name"),
            *("channel binding", "cannot connect to invalid database", 'parameter "', "permission denied to set"),
        ),
    ),
    (
        FailureKind.SESSION_LOST,
        (
            *("server closed the connection unexpectedly", "terminating connection", "connection socket closed"),
            *("Connection reset by peer", "Broken pipe", "could not receive data", "could not send", "SSL SYSCALL"),
            *("no connection to the server", "connection not open", "lost synchronization with server", "bad poll status"),
            "query not terminated",
        ),
    ),
)
_DOES_NOT_EXIST = re.compile(r'FATAL:.*(role|database) ".*" does not exist', re.DOTALL)


def classify(exc: BaseException) -> FailureKind:
    """As `Driver.classify`; what the exception itself does not say, its cause may."""
    step: BaseException | None = exc
    while step is not None:
        kind = _meaning(step)
        if kind is not FailureKind.OTHER:
            return kind
        step = step.__cause__
    return FailureKind.OTHER


def _meaning(exc: BaseException) -> FailureKind:
    if isinstance(exc, ConfigError):
        return FailureKind.CONFIGURATION
    if not isinstance(exc, psycopg.Error):
        return classify_os_error(exc) or FailureKind.OTHER
    if exc.sqlstate is not None:
        diag = exc.diag
        return classify_sqlstate(
            exc.sqlstate, severity=diag.severity_nonlocalized, routine=diag.source_function, message=str(exc)
        )
    return _by_text(str(exc)) if isinstance(exc, psycopg.OperationalError) else FailureKind.OTHER


def _by_text(text: str) -> FailureKind:
    if _RESOLVING in text:
        codes = {int(code) for code in _ERRNO.findall(text)}
        return FailureKind.CONFIGURATION if codes & NO_SUCH_NAME else FailureKind.UNREACHABLE
    for kind, parts in _TEXTS:
        if any(part in text for part in parts):
            return kind
    if _DOES_NOT_EXIST.search(text):
        return FailureKind.CONFIGURATION
    return FailureKind.SESSION_LOST if "FATAL:" in text or text.startswith("connection failed") else FailureKind.OTHER
