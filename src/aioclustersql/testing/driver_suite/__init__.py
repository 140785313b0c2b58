"""What every driver must keep, as tests: subclass `DriverSuite`, or `NetworkDriverSuite`, in a test module of your own.

    class TestMyDriver(NetworkDriverSuite):
        @pytest.fixture
        def stand(self) -> Stand:
            return Stand(driver=MyDriver(), dsn="mydb://app:secret@127.0.0.1:5000/test", ...)

Needs pytest, and no plug-in: each test runs an event loop of its own. Rule: one promise of the `Driver` protocol per test, and
after each no socket, thread or task is left.
"""

from __future__ import annotations

import pytest

for _room in ("leaks", "logins", "network", "options", "sessions", "tools", "transactions"):
    pytest.register_assert_rewrite(f"{__name__}.{_room}")  # so that a failure shows the values

from .line import Line  # noqa: E402 - assertions are rewritten on import
from .logins import LoginPromises  # noqa: E402
from .network import NetworkPromises  # noqa: E402
from .options import OptionPromises  # noqa: E402
from .sessions import SessionPromises  # noqa: E402
from .stand import Stand  # noqa: E402
from .transactions import TransactionPromises  # noqa: E402

__all__ = [
    "DriverSuite",
    "Line",
    "LoginPromises",
    "NetworkDriverSuite",
    "NetworkPromises",
    "OptionPromises",
    "SessionPromises",
    "Stand",
    "TransactionPromises",
]


class DriverSuite(OptionPromises, LoginPromises, SessionPromises, TransactionPromises):
    """The promises of every driver."""


class NetworkDriverSuite(DriverSuite, NetworkPromises):
    """The promises of a driver whose server is at the other end of a socket. Its `Stand` has `dsn_at`, `address` and `kill`."""
