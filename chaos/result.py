"""What one client did in one scene, as frozen plain values: what is printed, judged, drawn, and written as JSON.

Rule: seconds, rounded to milliseconds; moments count from the first act.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["STEP", "Kept", "Result", "Waiting"]

STEP = 0.1
"""Seconds of a timeline's steps."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How units of one kind fared."""

    units: int
    longest: float
    """The longest that one task waited for its next success."""
    open: bool
    """Whether that was never over: `longest` is when it was given up."""
    gap: float
    """The longest time without any success."""
    total: float
    """All such times above 0.1 s."""
    late: float | None
    """How far the scene's bound was passed (negative: kept by so much); None where there is none."""
    timeline: Sequence[int]
    """Successes in each step."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was left over."""

    sockets: int
    tasks: int
    sessions: int
    """On the servers."""
    closing: bool
    """Whether `close` itself did not return."""
    reported: Sequence[str]
    """What reached the loop's exception handler."""


@dataclass(frozen=True, slots=True)
class Result:
    """One client in one scene."""

    engine: str
    scene: str
    client: str
    round: int
    seconds: float
    """How long the load ran."""
    writes: Waiting
    reads: Waiting
    errors: Mapping[str, int]
    """What users saw, by class."""
    unexplained: Sequence[str]
    """Of our own clients: errors that the documentation does not promise."""
    unknown: int
    misplaced: Sequence[str]
    """Appends that are not where they have to be."""
    lost: int
    """Acknowledged appends among them that are not there."""
    lost_by_database: int
    """The same of the direct client: with it, a loss is the database's."""
    stall: float
    """The longest write of the direct client that writes."""
    read_stall: float
    """The longest read of the one that reads."""
    promoted: float | None
    healed: float
    """When the last act had ended."""
    before: float
    """Seconds of load before the first act."""
    detected: float | None
    aborted: Mapping[str, Mapping[str, int]]
    """What each server counts of sessions and logins cut off."""
    left: Kept
    complaints: Sequence[str]
    """Promises that were broken; of our own clients only."""
    lag: float = 0.0
    """By how much this process's event loop was late, at worst: on a busy machine it explains a wait."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {key: _plain(value) for key, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """The inverse of `as_dict`."""
        waiting = {kind: Waiting(**data[kind]) for kind in ("writes", "reads")}
        return cls(**{**data, **waiting, "left": Kept(**data["left"])})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return round(value, 3) if isinstance(value, float) else value
