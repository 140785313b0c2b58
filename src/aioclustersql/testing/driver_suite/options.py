"""What a driver makes of URLs and options, before it meets a server."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from aioclustersql.drivers.base import Driver
from aioclustersql.errors import ConfigError
from aioclustersql.failure import FailureKind

from .base import Promises
from .stand import Stand
from .tools import parsed

__all__ = ["OptionPromises"]


class OptionPromises(Promises):
    """What a driver makes of URLs and options, before it meets a server."""

    def test_it_has_all_that_a_driver_has(self, stand: Stand) -> None:
        missing = [name for name in Driver.__annotations__ if not hasattr(stand.driver, name)]
        for name, member in vars(Driver).items():
            if not inspect.isfunction(member) or name.startswith("_"):
                continue
            own = getattr(stand.driver, name, None)
            if not callable(own) or inspect.iscoroutinefunction(own) is not inspect.iscoroutinefunction(member):
                missing.append(name)
        assert not missing
        assert all(scheme == scheme.lower() for scheme in stand.driver.schemes)

    def test_a_url_is_read_and_its_password_is_not_shown(self, stand: Stand) -> None:
        endpoint = parsed(stand)
        assert endpoint.address
        if isinstance(endpoint.password, str):
            assert endpoint.password not in repr(endpoint)
            assert endpoint.password not in map(str, endpoint.arguments.values())

    def test_what_is_wrong_is_a_config_error_before_any_login(self, stand: Stand) -> None:
        driver, endpoint = stand.driver, parsed(stand)
        wrong: list[Callable[[], object]] = [
            lambda: driver.parse("nosuchscheme://host/db", {}),
            lambda: driver.parse(stand.dsn, {**stand.options, "no_such_option": 1}),
            lambda: driver.override(endpoint, {"no_such_option": 1}),
            lambda: driver.override(endpoint, {"host": "elsewhere"}),
            lambda: driver.override(endpoint, {"user": "somebody"}),
        ]
        for attempt in wrong:
            with pytest.raises(ConfigError):
                attempt()
        assert driver.classify(ConfigError("wrong")) is FailureKind.CONFIGURATION

    def test_an_override_leaves_the_node_as_it_is(self, stand: Stand) -> None:
        endpoint = parsed(stand)
        before = dict(endpoint.arguments)
        assert dict(stand.driver.override(endpoint, {}).arguments) == before
        assert dict(endpoint.arguments) == before
