"""Statements that make something are never cut off half-way: a server could carry out later what was given up here.

Rule: a cancel is passed on as soon as the statement has ended, or `PATIENCE` is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["PATIENCE", "uncut"]

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds: as long as a dead Galera node stalls the writes of the others, by its default time-outs."""


async def uncut(statement: Coroutine[Any, Any, T]) -> T:
    """Await `statement`; when cancelled, wait for its end first, however it comes."""
    task = asyncio.ensure_future(statement)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=PATIENCE)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
