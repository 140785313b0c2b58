"""What PostgreSQL's SQLSTATEs mean, for every PostgreSQL driver alike. A pure look at fields, no driver is known here.

Rule: a decision rests on what the server does not translate (code, severity, the function that raised), on text last of all.
Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from ...failure import FailureKind

__all__ = ["classify_sqlstate"]

_BY_CODE = {
    "08001": FailureKind.UNREACHABLE,  # sqlclient_unable_to_establish_sqlconnection
    "08007": FailureKind.OUTCOME_UNKNOWN,  # transaction_resolution_unknown
    "25006": FailureKind.ROLE_CHANGED,  # read_only_sql_transaction: a standby, or demoted
    "25P03": FailureKind.TRANSACTION_ENDED,  # idle_in_transaction_session_timeout
    "25P04": FailureKind.TRANSACTION_ENDED,  # transaction_timeout
    "3D000": FailureKind.CONFIGURATION,  # invalid_catalog_name: no such database
    "40001": FailureKind.ROLLED_BACK,  # serialization_failure, recovery conflict on a standby
    "40003": FailureKind.OUTCOME_UNKNOWN,  # statement_completion_unknown
    "40P01": FailureKind.ROLLED_BACK,  # deadlock_detected
    "53300": FailureKind.OVERLOADED,  # too_many_connections
    "55P03": FailureKind.INTERRUPTED,  # lock_not_available: NOWAIT, lock_timeout
    "57014": FailureKind.INTERRUPTED,  # query_canceled: pg_cancel_backend, statement_timeout
    "57P01": FailureKind.SESSION_LOST,  # admin_shutdown: pg_terminate_backend, fast shutdown
    "57P02": FailureKind.SESSION_LOST,  # crash_shutdown: another backend died, immediate shutdown
    "57P03": FailureKind.UNREACHABLE,  # cannot_connect_now: starting up, shutting down
    "57P04": FailureKind.CONFIGURATION,  # database_dropped
    "57P05": FailureKind.IDLE_CLOSED,  # idle_session_timeout
}
_BY_CLASS = {
    "08": FailureKind.SESSION_LOST,
    "28": FailureKind.CONFIGURATION,
}
_ENDS_THE_SESSION = frozenset({"FATAL", "PANIC"})
# A login refused for these is refused for ever: no CONNECT right (42501), a database that takes no connections (55000), a
# setting that does not exist (42704) or has a bad value (22023), an unknown startup option (0A000).
_FATAL_CONFIGURATION = frozenset({"0A", "0P", "22", "3F", "42", "55"})
_CHECKS_READ_WRITE = "call_bool_check_hook"
"""The function of PostgreSQL's guc.c that refuses BEGIN READ WRITE during recovery; 0A000 is in its mouth nothing else."""


def classify_sqlstate(code: str, *, severity: str | None = None, routine: str | None = None, message: str = "") -> FailureKind:
    """The meaning of one error: its SQLSTATE, and where the driver has them the untranslated severity, routine and message.

    The severity tells a refused login or a lost session (FATAL) from a failed statement (ERROR): 42501 and 55000 are
    `CONFIGURATION` at login only, and the 08xxx that postgres_fdw or dblink passes on as an ERROR says nothing about our
    connection. Without a severity the error is taken to come from the driver itself.
    """
    if severity == "ERROR" and code.startswith("08"):
        return FailureKind.OTHER
    if kind := _BY_CODE.get(code) or _BY_CLASS.get(code[:2]):
        return kind
    if code == "0A000" and severity not in _ENDS_THE_SESSION:
        return _unsupported(routine, message)
    if severity in _ENDS_THE_SESSION:
        return FailureKind.CONFIGURATION if code[:2] in _FATAL_CONFIGURATION else FailureKind.SESSION_LOST
    return FailureKind.OTHER


def _unsupported(routine: str | None, message: str) -> FailureKind:
    """0A000 (feature_not_supported) means three things; two of them heal."""
    if routine == "RevalidateCachedQuery" or "cached plan" in message or "cached statement plan" in message:
        return FailureKind.STALE_PLAN
    if routine == _CHECKS_READ_WRITE or "during recovery" in message:
        return FailureKind.ROLE_CHANGED
    return FailureKind.OTHER
