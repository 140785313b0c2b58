"""From what was seen of a scene to each client's result."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from chaos.bounds import broken, late
from chaos.check import errors, lost, misplaced, successes, waits
from chaos.client import Client
from chaos.clients.ours import Connect, Ours
from chaos.load import Kind, Load
from chaos.result import STEP, Result, Waiting
from chaos.stage import Seen

__all__ = ["tell"]

_SHOWN = 5
"""Of each kind of complaint, so many are kept in full."""


def tell(seen: Seen, clients: Sequence[Client], number: int = 1) -> Iterator[Result]:
    """One result for each client that was in the scene, in the round of that number."""
    for client, load, closing in zip(clients, seen.loads, seen.closing, strict=True):
        yield _result(seen, client, load, closing, number)


def _result(seen: Seen, client: Client, load: Load, closing: bool, number: int) -> Result:
    scene, moments = seen.scene, seen.moments
    assert seen.gauge is not None
    nodes = [node.name for node in seen.engine.nodes]
    writes, reads = _waiting(seen, client, load, "write"), _waiting(seen, client, load, "read")
    wrong = misplaced(load.units, seen.found)
    by_database = lost(seen.gauge.writer.units, seen.found)
    unexplained, complaints, detected = [], [], None
    left = dataclasses.replace(seen.left, tasks=seen.left.tasks + load.stuck, closing=closing)
    if isinstance(client, Ours):
        unexplained = [repr(unit) for unit in load.units if unit.error is not None and not client.explained(unit.error)]
        unexplained += [repr(unit) for unit in load.with_outcome("under way")]
        first = nodes[scene.acts[0].on]
        at = client.detected(first, moments.hurt)
        detected = None if at is None else at
        complaints = broken(
            writes=writes.late,
            reads=reads.late,
            unexplained=len(unexplained),
            misplaced=len(wrong),
            by_database=by_database > 0,
            left=left,
            aborted=seen.aborted,
            may_be_cut=frozenset(nodes[place] for place in scene.cut),
        )
    return Result(
        engine=seen.engine.name,
        scene=scene.name,
        client=client.name,
        round=number,
        seconds=seen.ended - seen.began,
        writes=writes,
        reads=reads,
        errors=dict(errors(load.units)),
        unexplained=unexplained[:_SHOWN],
        unknown=len(load.with_outcome("unknown")),
        misplaced=wrong[:_SHOWN],
        lost=lost(load.units, seen.found),
        lost_by_database=by_database,
        stall=seen.stalls["write"],
        read_stall=seen.stalls["read"],
        promoted=None if moments.promoted is None else moments.promoted - moments.hurt,
        healed=moments.healed - moments.hurt,
        before=moments.hurt - seen.began,
        detected=detected,
        aborted=seen.aborted,
        left=left,
        complaints=complaints,
        lag=seen.lag,
    )


def _waiting(seen: Seen, client: Client, load: Load, kind: Kind) -> Waiting:
    found = waits(load.units, kind, seen.moments.hurt, seen.ended)
    stall = seen.stalls["write"] if seen.engine.name == "galera" else 0.0
    if isinstance(client, Connect):  # a server that was just promoted takes its time for a login
        stall = max(stall, seen.login)
    return Waiting(
        units=sum(unit.kind == kind for unit in load.units),
        longest=found.longest,
        open=found.open,
        gap=found.gap,
        total=found.total,
        late=late(seen.scene, kind, found, seen.moments, stall),
        timeline=successes(load.units, kind, seen.began, seen.ended, STEP),
    )
