"""What is asyncmy's own among the MySQL drivers' options and exceptions; the rest is as in test_aiomysql. No server is met."""

from __future__ import annotations

import inspect
from typing import Any

import asyncmy
import pytest
from asyncmy import errors

from aioclustersql.drivers import by_name, for_url
from aioclustersql.drivers.asyncmy import AsyncmyDriver
from aioclustersql.errors import ConfigError
from aioclustersql.failure import FailureKind

DRIVER = AsyncmyDriver()


@pytest.mark.parametrize("scheme", ["mysql+asyncmy", "mariadb+asyncmy"])
def test_a_scheme_may_name_the_driver(scheme: str) -> None:
    driver = for_url(f"{scheme}://app@db1/shop")
    assert driver.name == "asyncmy"
    assert driver.parse(f"{scheme}://app@db1/shop", {}).arguments == {"host": "db1", "port": 3306, "user": "app", "db": "shop"}


def test_plain_urls_are_the_named_drivers_and_those_of_another_are_refused() -> None:
    assert by_name("asyncmy").parse("mysql://db1", {}).address == "db1:3306"
    with pytest.raises(ConfigError, match="asyncmy's schemes are"):
        DRIVER.parse("mysql+aiomysql://db1", {})


def test_every_option_of_the_installed_driver_is_known() -> None:
    elsewhere = {"host", "port", "unix_socket", "db", "database", "user", "password", "ssl", "password_creator", "sock"}
    for name, parameter in inspect.signature(asyncmy.connect).parameters.items():
        if name not in elsewhere and parameter.default is not None:
            assert DRIVER.parse("mysql://h", {name: parameter.default}).arguments[name] == parameter.default


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"password_creator": lambda: "pw"}, "give the function as password="),
        ({"sock": object()}, "address is in its URL"),
        ({"stmt_cache_sise": 1}, "did you mean 'stmt_cache_size'"),
        ({"charset": "klingon"}, "charset 'klingon' is unknown"),
        ({"autocommit": 1}, "of type bool"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        DRIVER.parse("mysql://h", options)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.OperationalError(2013, "Lost connection to MySQL server during query"), FailureKind.SESSION_LOST),
        (errors.OperationalError(1045, "Access denied"), FailureKind.CONFIGURATION),
        (errors.InterfaceError(0, "Not connected"), FailureKind.FOUND_CLOSED),
        (errors.InterfaceError(0, "Cancelled during execution"), FailureKind.FOUND_CLOSED),
        (errors.InternalError("Packet sequence number wrong - got 1 expected 2"), FailureKind.SESSION_LOST),
        (errors.IntegrityError(1062, "Duplicate entry"), FailureKind.OTHER),
    ],
)
def test_what_its_errors_mean(error: Exception, kind: FailureKind) -> None:
    assert DRIVER.classify(error) is kind


def test_of_2003_the_cause_tells_more() -> None:
    error = errors.OperationalError(2003, "Can't connect to MySQL server on 'h'")
    error.__cause__ = TimeoutError()
    assert DRIVER.classify(error) is FailureKind.TIMEOUT
