"""What befell one call of `run` or `transaction` so far, for its decisions and for what the caller is told.

Nothing is done here. Rule: a driver's exception passes through unchanged; what we know goes into its notes (PEP 678).
"""

from __future__ import annotations

import asyncio
import math
from typing import NamedTuple

__all__ = ["Trail"]

_TOLD = 5
"""So many earlier failures a note lists, the latest ones: more would hide the error itself."""


class _Failure(NamedTuple):
    at: float
    node: str
    doing: str
    error: BaseException
    text: str


class Trail:
    """One call's history, on the loop's clock; begun where the call begins, in its task. `timeout` may be infinite."""

    __slots__ = (
        "_cancels",
        "_clock",
        "_task",
        "attempts",
        "avoid",
        "deadline",
        "faults",
        "history",
        "runs",
        "started",
        "timeout",
    )

    def __init__(self, timeout: float, attempts: int = 1) -> None:
        self._clock = asyncio.get_running_loop().time
        self._task = asyncio.current_task()
        self._cancels = self._task.cancelling() if self._task is not None else 0
        self.started = self._clock()
        self.timeout = timeout
        self.deadline = self.started + timeout
        self.attempts = attempts
        self.runs = 0
        """How often the unit was begun."""
        self.faults = 0
        """Failures that lengthen the pause."""
        self.avoid: tuple[str, ...] = ()
        """Nodes that failed here, in the order of their first failure."""
        self.history: list[_Failure] = []

    @property
    def now(self) -> float:
        """The loop's time."""
        return self._clock()

    @property
    def limit(self) -> float | None:
        """The deadline as `asyncio.timeout_at` takes it."""
        return None if self.deadline == math.inf else self.deadline

    @property
    def errors(self) -> dict[str, BaseException]:
        """Each node's latest error."""
        return {failure.node: failure.error for failure in self.history}

    @property
    def cancelled(self) -> bool:
        """Whether the caller was cancelled since the call began."""
        return self._task is not None and self._task.cancelling() > self._cancels

    def heed_cancel(self, error: BaseException | None = None, note: str | None = None) -> None:
        """Raise `CancelledError` if the caller was cancelled and something below made another error of that, or nothing."""
        if self.cancelled:
            cancelled = asyncio.CancelledError()
            if note is not None:
                cancelled.add_note(note)
            raise cancelled from error

    def failed(self, node: str, doing: str, error: BaseException, text: str, *, avoid: bool) -> None:
        """Note a failure, with its `text` for others; `avoid`: the next attempt goes rather to another node.

        A node that was avoided and had to be taken all the same: then all that serve have failed, and the round begins anew.
        """
        self.history.append(_Failure(self.now, node, doing, error, text))
        if avoid:
            self.avoid = (node,) if node in self.avoid else (*self.avoid, node)

    def annotate(self, error: BaseException, why: str) -> None:
        """Note on an exception that reaches the user how the call came to it, and what failed before."""
        runs = f"run {self.runs} of at most {self.attempts}, " if self.attempts > 1 and self.runs else ""
        error.add_note(f"aioclustersql: {runs}{self.now - self.started:.3g} s after the call: {why}")
        for failure in [each for each in self.history if each.error is not error][-_TOLD:]:
            after = failure.at - self.started
            error.add_note(f"aioclustersql: before, {after:.3g} s after the call, {failure.doing}: {failure.text}")
