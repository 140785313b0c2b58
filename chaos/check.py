"""What a scene's record says: lost and doubled appends, and for how long users had to wait. Pure: no I/O, no clock.

Rule: an outage is counted per unit, from the beginning of a task's first unit without success to its next success, so that
neither one that waits nor one that fails again and again goes unseen among others that fare well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chaos.load import Kind, Unit

__all__ = ["Waits", "errors", "lost", "misplaced", "successes", "waits"]

_BLINK = 0.1
"""Seconds without a success that are no outage."""


def misplaced(units: Iterable[Unit], found: Mapping[str, Counter[str]]) -> list[str]:
    """What is not as it has to be: every acknowledged append is there exactly once on all nodes, every failed one on none, and
    every unknown one at most once, on all nodes alike."""
    complaints = []
    for unit in units:
        if unit.kind != "write":
            continue
        counts = {node: keys[unit.key] for node, keys in found.items()}
        allowed = {"ok": {1}, "failed": {0}, "unknown": {0, 1}, "under way": {0, 1}}[unit.outcome]
        if len(set(counts.values())) != 1 or not set(counts.values()) <= allowed:
            complaints.append(f"{unit!r} is there so often: {counts}")
    return complaints


def lost(units: Iterable[Unit], found: Mapping[str, Counter[str]]) -> int:
    """How many acknowledged appends some node does not have."""
    written = [unit.key for unit in units if unit.outcome == "ok" and unit.kind == "write"]
    return sum(not all(keys[key] for keys in found.values()) for key in written)


@dataclass(frozen=True, slots=True)
class Waits:
    """For how long users of one kind waited, in seconds; moments are the loop's."""

    longest: float
    """The longest wait of one task for its next success."""
    open: bool
    """Whether that one was never over."""
    gap: float
    """The longest time in which nobody had a success."""
    total: float
    """All times of more than 0.1 s in which nobody had one."""
    each: Sequence[tuple[float, float]]
    """Every task's waits, from their beginning to the success, less the stand's own pause between an error and that success."""

    def late(self, deadline: float, grace: float) -> float:
        """For how long somebody waited beyond `deadline`, and beyond `grace` seconds if he came later than that."""
        return max((ended - max(deadline, began + grace) for began, ended in self.each), default=0.0)


def waits(units: Sequence[Unit], kind: Kind, since: float, until: float) -> Waits:
    """How units of a kind fared between these moments; what is not over at the end counts up to it."""
    begun: dict[str, float] = {}
    failed: dict[str, float] = {}
    over: list[tuple[float, float, float]] = []
    for unit in units:  # a task's are in order
        if unit.kind != kind or unit.began >= until:
            continue
        began = begun.setdefault(unit.task, unit.began)
        if unit.outcome == "ok" and unit.ended is not None and unit.ended <= until:
            del begun[unit.task]
            paused = unit.began - failed.pop(unit.task, unit.began)
            if unit.ended > since:
                over.append((began, unit.ended, paused))
        elif unit.ended is not None:
            failed[unit.task] = unit.ended
    never = [(began, until) for began in begun.values()]
    longest = max((ended - began for began, ended, *_ in (*over, *never)), default=0.0)
    gaps = _gaps(sorted(ended for _, ended, _ in over), since, until)
    return Waits(
        longest=longest,
        open=any(ended - began == longest for began, ended in never) and longest > 2 * _BLINK,
        gap=max(gaps),
        total=sum(gap for gap in gaps if gap > _BLINK),
        each=(*((began, ended - paused) for began, ended, paused in over), *never),
    )


def _gaps(successes: Sequence[float], since: float, until: float) -> list[float]:
    moments = [since, *successes, until]
    return [later - sooner for sooner, later in pairwise(moments)]


def errors(units: Iterable[Unit]) -> Counter[str]:
    """How many errors users saw, by class and, for unknown outcomes, by that word; hung ones too."""
    found: Counter[str] = Counter()
    for unit in units:
        if unit.outcome == "under way":
            found["hung"] += 1
        elif unit.error is not None:
            name = type(unit.error).__name__
            found[f"{name} (unknown)" if unit.unknown and "Unknown" not in name else name] += 1
    return found


def successes(units: Iterable[Unit], kind: Kind, since: float, until: float, step: float) -> list[int]:
    """How many units succeeded in each `step` of seconds: what a timeline is drawn from."""
    counts = [0] * max(1, round((until - since) / step))
    for unit in units:
        if unit.kind == kind and unit.outcome == "ok" and unit.ended is not None:
            place = int((unit.ended - since) / step)
            if 0 <= place < len(counts):
                counts[place] += 1
    return counts
