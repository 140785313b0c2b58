"""Where traces hook in: a connect, an acquire and a run may each be a span. The interface alone; `observe` implements it.

Rule: while nobody traces, that costs one look at `Registry.spans`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

__all__ = ["Span", "Spans"]


class Span(Protocol):
    """One call that is traced."""

    def served_by(self, node: str, address: str) -> None:
        """The node that it got its connection from."""
        ...

    def retried(self, node: str, run: int, error: str, pause: float) -> None:
        """A unit of work was undone and runs again after `pause` seconds; `error` is without secrets."""
        ...


class Spans(Protocol):
    """What makes spans."""

    def span(self, what: str, target: str) -> AbstractContextManager[Span]:
        """A span of the current one for a "connect", "acquire" or "run"; what is raised in it is noted, without secrets."""
        ...
