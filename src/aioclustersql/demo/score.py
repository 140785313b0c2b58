"""What the demo counts: pure bookkeeping, no I/O and no clock (`now` is an argument: seconds since the demo began)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from ..events import Connected, ConnectFailed, Event, HealthChanged, Interrupted, RoleChanged
from ..node import Health, Role

__all__ = ["Score", "headline", "sparkline", "verdict", "winner", "writes"]

BUCKET = 0.5
"""Seconds per stroke of the sparkline."""


@dataclass(slots=True)
class Score:
    """Connects and writes made and failed, the longest of each, what was lost or is unknown, and who won when."""

    made: int = 0
    failed: int = 0
    lost: int = 0
    longest: float = 0.0
    written: int = 0
    unwritten: int = 0
    unknown: int = 0
    longest_write: float = 0.0
    _wins: dict[str, Counter[int]] = field(default_factory=dict)

    def connected(self, seconds: float) -> None:
        """A connect succeeded after so many seconds."""
        self.made += 1
        self.longest = max(self.longest, seconds)

    def connect_failed(self, seconds: float) -> None:
        """A connect failed after so many seconds."""
        self.failed += 1
        self.longest = max(self.longest, seconds)

    def query_lost(self) -> None:
        """A connection was had, and its node went away under it."""
        self.lost += 1

    def wrote(self, seconds: float) -> None:
        """A write was committed after so many seconds."""
        self.written += 1
        self.longest_write = max(self.longest_write, seconds)

    def write_failed(self) -> None:
        """A write was given up."""
        self.unwritten += 1

    def outcome_unknown(self) -> None:
        """The node went away with a COMMIT that it had not answered."""
        self.unknown += 1

    def won(self, node: str, now: float) -> None:
        """A node gave a connection."""
        self._wins.setdefault(node, Counter())[int(now / BUCKET)] += 1

    def history(self, node: str, now: float, length: int) -> list[int]:
        """A node's wins in each of the last `length` buckets, oldest first; the one under way is left out."""
        last = int(now / BUCKET)
        wins = self._wins.get(node, Counter())
        return [wins[bucket] for bucket in range(max(0, last - length), last)]

    def as_dict(self) -> dict[str, float]:
        """The counts, and the longest connect and write in seconds, for JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "_wins"}

    def peak(self) -> int:
        """The most wins of any node in one bucket: the sparklines' common scale."""
        return max((count for wins in self._wins.values() for count in wins.values()), default=0)


def headline(event: Event) -> str | None:
    """What to tell of an event. None: nothing."""
    match event:
        case HealthChanged(node=node, new=Health.HALF_OPEN):
            return f"{node} is half-open: one login in the background tries it"
        case HealthChanged(node=node, new=new, cause=cause):
            return f"{node} is {new}" + (f": {cause}" if cause and new is not Health.UP else "")
        case RoleChanged(node=node, old=old, new=new) if old is not Role.UNKNOWN:
            return f"{node} was {old} and is {new}"
        case Interrupted(node=node, connections=count):
            return f"{node}: {count} connections cut off, so that nobody waits for it"
        case ConnectFailed(seconds=seconds, error=error):
            return f"a connect failed after {seconds:.1f} s: {error}"
        case _:
            return None


def winner(event: Event) -> str | None:
    """The node that gave a connection, if that is what happened."""
    return event.node if isinstance(event, Connected) else None


def sparkline(values: Iterable[int], peak: int, strokes: str) -> str:
    """Values as strokes; the first stroke is for nothing at all."""
    top = len(strokes) - 1
    return "".join(strokes[min(top, -(-value * top // peak)) if peak else 0] for value in values)


def verdict(score: Score) -> str:
    """The outcome in one line."""
    lost = {0: "", 1: "; 1 query was lost with its node"}.get(score.lost, f"; {score.lost} queries were lost with their node")
    return f"{score.made:,} connects made, {score.failed} failed; the longest took {score.longest * 1000:.0f} ms{lost}"


def writes(score: Score) -> str:
    """The outcome of the writes in one line."""
    unknown = f", {score.unknown} unknown (COMMIT sent, no answer)" if score.unknown else ""
    longest = f"{score.longest_write * 1000:.0f} ms"
    return f"{score.written:,} writes committed, {score.unwritten} failed{unknown}; the longest took {longest}"
