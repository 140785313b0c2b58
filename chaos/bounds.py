"""Which promises a result breaks: nothing lost, doubled, unexplained or left over, and nobody kept waiting too long. Pure.

Rule: of the peers nothing is demanded; their figures stand beside ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chaos.check import Waits
from chaos.load import Kind
from chaos.result import Kept
from chaos.scenes import Scene

__all__ = ["Moments", "broken", "late"]


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a scene, by the loop's clock."""

    hurt: float
    """The first act began."""
    healed: float
    """The last act had ended."""
    promoted: float | None
    """A promoted standby was first seen to take writes."""


AFTER_PROMOTION, AFTER_STALL = 0.3, 0.3
"""Seconds that writes may take on top of what the cluster itself takes."""


def late(scene: Scene, kind: Kind, waits: Waits, moments: Moments, stall: float) -> float | None:
    """How far the scene's bound was passed (negative: kept by so much), or None where there is none.

    `stall`: the longest write of the direct client where every node takes writes, which nobody can outrun; else 0.
    """
    bound = scene.reads if kind == "read" else scene.writes
    if bound is not None:
        grace = max(bound, stall + AFTER_STALL) if stall else bound
        deadline = moments.hurt + bound
        if kind == "write" and moments.promoted is not None:
            deadline = max(deadline, moments.promoted + AFTER_PROMOTION)
        return waits.late(deadline, grace)
    return None if scene.back is None else waits.late(moments.healed + scene.back, scene.back)


def broken(
    *,
    writes: float | None,
    reads: float | None,
    unexplained: int,
    misplaced: int,
    by_database: bool,
    left: Kept,
    aborted: Mapping[str, Mapping[str, int]],
    may_be_cut: frozenset[str],
) -> list[str]:
    """In words, what a client of ours broke; empty when it kept everything."""
    lates = {"writes": writes or 0.0, "reads": reads or 0.0}
    found = [f"{kind} were {passed:.3f} s late" for kind, passed in lates.items() if passed > 0]
    if misplaced and not by_database:
        found.append(f"{misplaced} appends are lost, doubled, or there in spite of their error")
    if unexplained:
        found.append(f"{unexplained} errors are not what the documentation says")
    for what, count in (("sockets", left.sockets), ("tasks", left.tasks), ("sessions on the servers", left.sessions)):
        if count:
            found.append(f"{count} {what} are left")
    if left.closing:
        found.append("close did not return")
    if left.reported:
        found.append(f"{len(left.reported)} times the loop's exception handler was called")
    for node, counts in aborted.items():
        if node not in may_be_cut and any(counts.values()):
            found.append(f"{node} counts {dict(counts)}")
    return found
