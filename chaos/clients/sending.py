"""What the peers' clients share: addresses, the mark that tells how far a failed append had come, and a close that ends.

Rule: an error is judged by what had been sent when it came, and by the same tables of codes that judge ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self

from aioclustersql.dsn import Url, parse_url
from aioclustersql.failure import FailureKind
from aioclustersql.policy.retry import Action, Phase, action

__all__ = ["Sending", "addresses", "left_open", "multi_host", "within"]

_SENT = "it came after the statement that commits was sent"
_ANSWERED = "it came after the server had acknowledged the append"


class Sending:
    """Around an append: marks the error that ends it by how far the append had come, for `left_open`."""

    def __init__(self) -> None:
        self._mark: str | None = None

    def sends(self) -> None:
        """The next thing is the statement that commits."""
        self._mark = _SENT

    def answered(self) -> None:
        """The server said that it is done; what comes now (giving back the connection) can fail, too."""
        self._mark = _ANSWERED

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and self._mark is not None:
            error.add_note(self._mark)


def left_open(error: BaseException, meaning: FailureKind | None) -> bool:
    """Whether the append that ended so may have been carried out. `meaning`: what its code says; None: there was no answer."""
    marks = _marks(error)
    if _ANSWERED in marks:
        return True
    return _SENT in marks and (meaning is None or action(meaning, Phase.COMMITTING) is Action.UNKNOWN)


def _marks(error: BaseException) -> set[str]:
    """Also of what it was raised from: the time-out of a stand is raised from the CancelledError that the append ended with."""
    marks: set[str] = set()
    current: BaseException | None = error
    while current is not None:
        marks.update(getattr(current, "__notes__", ()))
        current = current.__cause__
    return marks


def addresses(urls: Mapping[str, str]) -> list[Url]:
    """The nodes' URLs, taken apart, in their order."""
    return [parse_url(url) for url in urls.values()]


def multi_host(urls: Mapping[str, str], target: str | None = None) -> str:
    """One URL of all nodes, as libpq, asyncpg and hasql read it; `target` is its target_session_attrs."""
    nodes = addresses(urls)
    hosts = ",".join(f"{node.host}:{node.port}" for node in nodes)
    query = f"?target_session_attrs={target}" if target else ""
    return f"postgresql://{nodes[0].user}@{hosts}/{nodes[0].database}{query}"


async def within(seconds: float, work: Coroutine[Any, Any, object]) -> bool:
    """Do it for so many seconds at most; whether it ended well. What does not even end when cancelled is left behind."""
    task = asyncio.create_task(work, name="chaos: closing a peer")
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    await asyncio.wait({task}, timeout=1.0)
    return task.done() and not task.cancelled() and task.exception() is None
