"""What the asyncpg driver and PostgreSQL's codes say that a failure means."""

import errno
import ssl

import asyncpg
import pytest

from aioclustersql.drivers.asyncpg import AsyncpgDriver
from aioclustersql.drivers.postgres.errors import classify_sqlstate
from aioclustersql.failure import FailureKind

driver = AsyncpgDriver()


@pytest.mark.parametrize(
    ("code", "severity", "kind"),
    [
        ("08006", None, "session-lost"),
        ("08003", "FATAL", "session-lost"),
        ("08006", "ERROR", "other"),  # postgres_fdw's own trouble
        ("08001", None, "unreachable"),
        ("08007", None, "outcome-unknown"),
        ("0A000", "ERROR", "other"),
        ("0A000", "FATAL", "configuration"),
        ("22023", "FATAL", "configuration"),
        ("22023", "ERROR", "other"),
        ("23505", "ERROR", "other"),
        ("25006", "ERROR", "role-changed"),
        ("25P03", "FATAL", "transaction-ended"),
        ("25P04", "FATAL", "transaction-ended"),
        ("28000", "FATAL", "configuration"),
        ("28P01", "FATAL", "configuration"),
        ("3D000", "FATAL", "configuration"),
        ("40001", "ERROR", "rolled-back"),
        ("40003", "ERROR", "outcome-unknown"),
        ("40P01", "ERROR", "rolled-back"),
        ("42501", "FATAL", "configuration"),
        ("42501", "ERROR", "other"),
        ("53300", "FATAL", "overloaded"),
        ("55000", "FATAL", "configuration"),
        ("55000", "ERROR", "other"),
        ("55P03", "ERROR", "interrupted"),
        ("57014", "ERROR", "interrupted"),
        ("57P01", "FATAL", "session-lost"),
        ("57P02", "FATAL", "session-lost"),
        ("57P03", "FATAL", "unreachable"),
        ("57P05", "FATAL", "idle-closed"),
        ("XX000", "FATAL", "session-lost"),
        ("XX000", "ERROR", "other"),
    ],
)
def test_a_sqlstate_means_one_thing(code: str, severity: str | None, kind: str) -> None:
    assert classify_sqlstate(code, severity=severity) == kind


def test_the_three_meanings_of_0a000_do_not_hang_on_the_servers_language() -> None:
    assert classify_sqlstate("0A000", severity="ERROR", routine="RevalidateCachedQuery") is FailureKind.STALE_PLAN
    assert classify_sqlstate("0A000", severity="ERROR", routine="call_bool_check_hook") is FailureKind.ROLE_CHANGED
    assert (
        classify_sqlstate("0A000", message="cannot set transaction read-write mode during recovery") is FailureKind.ROLE_CHANGED
    )


def server_error(code: str, severity: str = "FATAL") -> BaseException:
    return asyncpg.PostgresError.new({"S": severity, "V": severity, "C": code, "M": "as it says"})


def caused(exc: BaseException, cause: BaseException) -> BaseException:
    exc.__cause__ = cause
    return exc


def lost() -> BaseException:
    return asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (lost(), "session-lost"),
        (caused(lost(), server_error("57P01")), "session-lost"),
        (caused(lost(), server_error("57P05")), "idle-closed"),
        (caused(lost(), server_error("25P03")), "transaction-ended"),
        (caused(lost(), ConnectionRefusedError(errno.ECONNREFUSED, "refused")), "session-lost"),
        (caused(RuntimeError("the caller's own"), server_error("40001", "ERROR")), "rolled-back"),
        (RuntimeError("the caller's own"), "other"),
        (asyncpg.InterfaceError("connection is closed"), "found-closed"),
        (asyncpg.InterfaceError("cannot perform operation: connection is closed"), "found-closed"),
        (asyncpg.InterfaceError("cannot perform operation: another operation is in progress"), "other"),
        (asyncpg.InterfaceError("unsupported authentication method requested by the server: 'gss'"), "configuration"),
        (asyncpg.exceptions.ClientConfigurationError("no such thing"), "configuration"),
        (asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"), "session-lost"),
        (asyncpg.InternalClientError("something else"), "other"),
        (asyncpg.exceptions.OutdatedSchemaCacheError("outdated"), "stale-plan"),
        (asyncpg.exceptions.InvalidCachedStatementError("cached statement plan is invalid"), "stale-plan"),
        (ConnectionError('PostgreSQL server at "db:5432" rejected SSL upgrade'), "configuration"),
        (ConnectionError("unexpected connection_lost() call"), "session-lost"),
        (ConnectionResetError(), "session-lost"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "unreachable"),
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), "configuration"),
        (TimeoutError(), "timeout"),
        (EOFError(), "session-lost"),
    ],
    ids=repr,
)
def test_an_exception_means_one_thing(exc: BaseException, kind: str) -> None:
    assert driver.classify(exc) == kind


def test_a_ring_of_causes_ends() -> None:
    first, second = RuntimeError(), RuntimeError()
    first.__cause__, second.__cause__ = second, first
    assert driver.classify(first) is FailureKind.OTHER
