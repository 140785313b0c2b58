"""Who is what among several nodes; pure. Of those that claim to be primary, which is not; and which nodes take the writes.

Rule: where it cannot be known which of two is the true one, neither is: never chosen in silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

__all__ = ["Claim", "Nominee", "elect", "superseded"]


class Claim(NamedTuple):
    """A node that says, or said when last heard of, that it is the primary on that timeline. `alive`: it is not down."""

    name: str
    timeline: int
    alive: bool


def superseded(claims: Iterable[Claim]) -> Mapping[str, str]:
    """Those that are not the primary, and why: PostgreSQL begins a new timeline with every promotion, so the greatest is true.

    A node that is down still supersedes by a greater timeline, because what was written there would be lost. On one and the same
    timeline two live ones are a draw; a down one is none (the same disk may have been started elsewhere).
    """
    by_timeline: dict[int, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_timeline[claim.timeline].append(claim)
    if not by_timeline:
        return {}
    newest = max(by_timeline)
    winners = sorted(by_timeline.pop(newest))
    true = next((claim for claim in winners if claim.alive), winners[0])
    lost = "" if true.alive else f", which is down now; if it is gone for good, remove node {true.name}"
    causes = {
        claim.name: f"it claims to be primary on timeline {timeline}, but {true.name} is the primary on timeline {newest}{lost}"
        for timeline, others in by_timeline.items()
        for claim in others
    }
    drawn = [claim.name for claim in winners if claim.alive]
    if len(drawn) > 1:
        all_of, none_of = ("both", "neither") if len(drawn) == 2 else ("all", "none")
        text = (
            f"{' and '.join(drawn)} {all_of} claim to be primary on timeline {newest}, so {none_of} is taken for it: "
            "stop the wrong one, or remove one if these are names of the same server"
        )
        causes.update(dict.fromkeys(drawn, text))
    return causes


class Nominee(NamedTuple):
    """A node that may be elected to take writes, if it is `fit`."""

    name: str
    weight: float
    fit: bool
    degraded: bool = False


def elect(nominees: Iterable[Nominee], count: int, sitting: Collection[str]) -> frozenset[str]:
    """The `count` nodes that take the writes. Those that do and are fit stay; then by weight, then by name.

    All clients that start with the same nodes so elect the same ones; none that is degraded while there is another.
    """
    fit = [nominee for nominee in nominees if nominee.fit]
    fit.sort(key=lambda each: (each.name not in sitting, each.degraded, -each.weight, each.name))
    return frozenset(nominee.name for nominee in fit[:count])
