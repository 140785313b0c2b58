"""What the psycopg driver makes of addresses, options and exceptions; no server is met."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import psycopg
import pytest

from aioclustersql.drivers.base import Endpoint
from aioclustersql.drivers.psycopg import PsycopgDriver
from aioclustersql.drivers.psycopg_options import login_parameters
from aioclustersql.errors import ConfigError
from aioclustersql.failure import FailureKind

DRIVER = PsycopgDriver()
K = FailureKind


def parse(dsn: str, **options: Any) -> Endpoint:
    return DRIVER.parse(dsn, options)


def test_a_url_becomes_libpqs_parameters() -> None:
    endpoint = parse("postgresql+psycopg://app:s%40cret@db1:5433/shop?application_name=a%20b&keepalives_idle=7")
    found = login_parameters(endpoint)
    assert (endpoint.address, endpoint.password) == ("db1:5433", "s@cret")
    wanted = {"host": "db1", "port": 5433, "user": "app", "dbname": "shop", "application_name": "a b", "keepalives_idle": "7"}
    assert found.items() >= wanted.items()
    assert "password" not in found


def test_dbname_and_a_sockets_folder_may_be_options() -> None:
    endpoint = parse("postgresql:///?host=/run/pg&dbname=shop&user=app")
    assert endpoint.address == "/run/pg/.s.PGSQL.5432"
    assert login_parameters(endpoint).items() >= {"host": "/run/pg", "dbname": "shop", "user": "app"}.items()


def test_server_settings_become_command_line_options() -> None:
    settings = {"search_path": "a, b", "app.path": "c:\\x"}
    endpoint = parse("postgresql://app@db1/shop?work_mem=7MB&options=-c%20geqo%3Doff", server_settings=settings)
    assert login_parameters(endpoint)["options"] == r"-c geqo=off -c work_mem=7MB -c search_path=a,\ b -c app.path=c:\\x"
    one = DRIVER.override(endpoint, {"server_settings": {"work_mem": "9MB"}, "autocommit": True})
    assert "work_mem=9MB -c search_path" in login_parameters(one)["options"]
    assert login_parameters(one)["autocommit"] is True
    assert "work_mem=7MB" in login_parameters(endpoint)["options"]


def test_nothing_is_left_to_the_environment_that_an_option_can_say() -> None:
    found = login_parameters(parse("postgresql://app@db1/shop"))
    assert found.items() >= {"sslmode": "prefer", "sslcert": "", "options": "", "target_session_attrs": "any"}.items()


def test_none_means_never_prepare_and_elsewhere_not_said() -> None:
    found = login_parameters(parse("postgresql://app@db1/shop", prepare_threshold=None, autocommit=None))
    assert found["prepare_threshold"] is None
    assert "autocommit" not in found


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"prepare_treshold": 1}, "did you mean 'prepare_threshold'"),
        ({"conninfo": "host=x"}, "address of a node is in its URL"),
        ({"dbname": "x"}, "address of a node is in its URL"),
        ({"connect_timeout": 3}, "connect_timeout of Cluster"),
        ({"target_session_attrs": "primary"}, "use target="),
        ({"autocommit": "maybe"}, "true or false"),
        ({"prepare_threshold": True}, "whole number"),
        ({"ssl": ssl.create_default_context()}, "give sslmode"),
        ({"password": 7}, "password is a string"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        parse("postgresql://app@db1/shop", **options)


def test_tls_words_are_libpqs_and_files_are_looked_at() -> None:
    assert login_parameters(parse("postgresql://app@db1/shop?ssl_mode=REQUIRED"))["sslmode"] == "require"
    endpoint = parse("postgresql://app@db1/shop?sslmode=verify-full&sslrootcert=/missing.pem")
    with pytest.raises(ConfigError, match="sslrootcert: cannot read"):
        login_parameters(endpoint)


AT = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"{AT}Connection refused\n\tIs the server running on that host?", K.UNREACHABLE),
        (f"{AT}FATAL:  the database system is starting up", K.UNREACHABLE),
        (f"{AT}FATAL:  the database system is shutting down", K.UNREACHABLE),
        (f"{AT}FATAL:  sorry, too many clients already", K.OVERLOADED),
        (f"{AT}FATAL:  remaining connection slots are reserved for roles with ...", K.OVERLOADED),
        (f'{AT}FATAL:  password authentication failed for user "app"', K.CONFIGURATION),
        (f"{AT}fe_sendauth: no password supplied", K.CONFIGURATION),
        (f'{AT}FATAL:  no pg_hba.conf entry for host "10.0.0.1"', K.CONFIGURATION),
        (f'{AT}FATAL:  database "missing" does not exist', K.CONFIGURATION),
        (f'{AT}FATAL:  role "nobody" does not exist', K.CONFIGURATION),
        (f"{AT}server does not support SSL, but SSL was required", K.CONFIGURATION),
        (f"{AT}SSL error: certificate verify failed", K.CONFIGURATION),
        (f"{AT}timeout expired", K.TIMEOUT),
        (f"{AT}server closed the connection unexpectedly", K.SESSION_LOST),
        (f"{AT}FATAL:  Passwort-Authentifizierung fehlgeschlagen", K.SESSION_LOST),
        (f"failed to resolve host 'x': [Errno {int(socket.EAI_NONAME)}] Name or service not known", K.CONFIGURATION),
        (f"failed to resolve host 'x': [Errno {int(socket.EAI_AGAIN)}] Temporary failure", K.UNREACHABLE),
        ("the connection is closed", K.FOUND_CLOSED),
        ("the connection is lost", K.FOUND_CLOSED),
        ("consuming input failed: server closed the connection unexpectedly", K.SESSION_LOST),
        ("something else", K.OTHER),
    ],
)
def test_what_libpq_tells_without_a_code_is_read_from_its_text(text: str, kind: FailureKind) -> None:
    assert DRIVER.classify(psycopg.OperationalError(text)) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.SerializationFailure, K.ROLLED_BACK),
        (psycopg.errors.DeadlockDetected, K.ROLLED_BACK),
        (psycopg.errors.ReadOnlySqlTransaction, K.ROLE_CHANGED),
        (psycopg.errors.QueryCanceled, K.INTERRUPTED),
        (psycopg.errors.AdminShutdown, K.SESSION_LOST),
        (psycopg.errors.UniqueViolation, K.OTHER),
        (psycopg.errors.TransactionResolutionUnknown, K.OUTCOME_UNKNOWN),
    ],
)
def test_a_sqlstate_counts_whatever_the_text(error: type[psycopg.Error], kind: FailureKind) -> None:
    assert DRIVER.classify(error("the connection is closed")) is kind


def test_what_is_not_psycopgs_is_read_as_a_sockets() -> None:
    assert DRIVER.classify(ConnectionResetError(104, "reset")) is K.SESSION_LOST
    assert DRIVER.classify(ZeroDivisionError()) is K.OTHER
    assert DRIVER.classify(psycopg.ProgrammingError("the connection is closed")) is K.OTHER
