"""What every class of promises is made of: the stand, and an event loop for each test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from .leaks import run_checked
from .stand import Stand

__all__ = ["Promises"]


class Promises:
    """Tests that need a `stand`."""

    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    """What makes the event loops; None: asyncio's own."""

    @pytest.fixture
    def stand(self) -> Stand:
        """The driver and its server: yours to write."""
        raise NotImplementedError("write a fixture `stand` that returns a Stand")

    def run(self, test: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a test in a loop of its own; fail when it leaves anything behind."""
        run_checked(test, self.loop_factory)
