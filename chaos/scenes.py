"""The fault schedule, as data: what befalls which node when, how it is undone, and for how long users may wait meanwhile.

Node 0 is where it happens: on PostgreSQL the primary, on Galera the one that a list of hosts begins with. The bounds are the
project's promises for its own clients with default settings; None where nothing could serve, or nothing is promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from chaos.faults import NETWORK, UNDONE_BY

__all__ = ["SCENES", "Act", "Scene", "in_turn", "scenes"]

AT_ONCE, SILENT = 0.1, 1.6
"""Seconds: what a fault may cost that shows by itself, and one that nobody tells of (a freeze, a black hole)."""


@dataclass(frozen=True, slots=True)
class Act:
    """So many seconds after the act before began, or when it has ended, if that is later: this, to this node."""

    after: float
    do: str
    on: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """One fault or several, from the first to the end of the last."""

    name: str
    acts: tuple[Act, ...]
    reads: float | None = None
    """The longest that a read may wait; on Galera the cluster's own stall plus 0.3 s, where that is more."""
    writes: float | None = None
    """The same of a write. With a promotion: by so long after the first act, or 0.3 s after the promotion, whichever is later."""
    back: float | None = None
    """Where nothing serves before it is undone: by so long after the end of the last act."""
    cut: tuple[int, ...] = (0,)
    """The nodes that may tell of sessions and logins that were cut off."""
    synchronous: bool = False
    """PostgreSQL's standbys confirm each commit, so that none dies with the primary."""
    slow_evs: bool = False
    """Galera's own time-outs, by which a dead node is missed after six seconds, and not the tests' quick ones."""
    tail: float = 1.0
    """Seconds of load after the last act."""
    either: bool = False
    """One of PostgreSQL's standbys is hurt: it is played with either, as a client that reads from the other notices nothing."""
    nothing_fails: bool = False
    """Answers only come late. How long one waits for them before one would rather have an error is a matter of choice."""

    @property
    def proxied(self) -> bool:
        """Whether it takes proxies; else clients go straight to the servers."""
        return any(act.do in NETWORK for act in self.acts)

    @property
    def hurt(self) -> frozenset[int]:
        """The nodes that something befalls."""
        every = {0, 1, 2} if any(act.do == "kill all" for act in self.acts) else set[int]()
        return frozenset(every | {act.on for act in self.acts if act.do in UNDONE_BY})

    @property
    def plays(self) -> tuple[Scene, ...]:
        """As it is, and where `either` says so also with the two standbys changed."""
        if not self.either:
            return (self,)
        acts = tuple(replace(act, on=_OTHER_STANDBY.get(act.on, act.on)) for act in self.acts)
        return self, replace(self, acts=acts, cut=tuple(_OTHER_STANDBY.get(place, place) for place in self.cut))


_OTHER_STANDBY = {1: 2, 2: 1}


def _spell(fault: str, seconds: float, *on: int) -> tuple[Act, ...]:
    """A fault, on some nodes at once, for so many seconds."""
    nodes = on or (0,)
    befalls = [Act(0.0, fault, node) for node in nodes]
    is_undone = [Act(seconds if node == nodes[0] else 0.0, UNDONE_BY[fault], node) for node in nodes]
    return (*befalls, *is_undone)


def _rolling(*nodes: int) -> tuple[Act, ...]:
    """One after another down and up again."""
    return tuple(act for node in nodes for act in (Act(0.0, "terminate", node), Act(0.0, "start", node), Act(0.0, "pause")))


def _promotion(fault: str, back: float | None) -> tuple[Act, ...]:
    """The primary is lost, half a second later a standby promoted; the old one comes back, or not."""
    acts = (Act(0.0, fault), Act(0.5, "promote", 1))
    return acts if back is None else (*acts, Act(back - 0.5, UNDONE_BY[fault]))


_SHARED = (
    # Long enough for each client's reads and writes to meet the longest stall, and for what is held last to arrive.
    Scene("1 % of requests stall", _spell("stalls", 12.0, 0, 1, 2), cut=(0, 1, 2), tail=3.2, nothing_fails=True),
    Scene("all sessions killed", tuple(Act(0.2, "kill sessions", node) for node in (0, 1, 2, 0, 1, 2)), 0.3, 0.3, cut=(0, 1, 2)),
)

_GALERA = (
    Scene("killed", _spell("kill", 2.0), AT_ONCE, AT_ONCE),
    Scene("terminated", _spell("terminate", 1.0), AT_ONCE, AT_ONCE),
    Scene("frozen", _spell("freeze", 2.5), SILENT, SILENT, tail=1.5),
    Scene("black-holed", _spell("black hole", 2.2), SILENT, SILENT),
    Scene("refused", _spell("refuse", 1.0), AT_ONCE, AT_ONCE),
    Scene("reset", _spell("reset", 1.0), AT_ONCE, AT_ONCE),
    Scene("20 times slower", _spell("slow", 1.5), 0.3, 0.3),
    Scene("outside the primary component", _spell("isolate", 1.5), AT_ONCE, AT_ONCE),
    Scene("desynced, as a donor is", _spell("desync", 1.0), AT_ONCE, AT_ONCE, cut=()),
    Scene("rejects queries", _spell("reject queries", 0.7), AT_ONCE, AT_ONCE, cut=()),
    Scene("read only", _spell("read only", 0.7), AT_ONCE, AT_ONCE, cut=()),
    Scene("connections exhausted", _spell("exhaust", 1.0), 0.3, 0.3),
    Scene("rolling restart", _rolling(2, 1, 0), 0.3, 0.3, cut=(0, 1, 2)),
    Scene(
        "one killed, one black-holed",
        (Act(0.0, "kill"), Act(0.1, "black hole", 1), Act(2.4, "clear", 1), Act(0.0, "start")),
        SILENT,
        SILENT,
        cut=(0, 1),
    ),
    Scene("all down and back", _spell("kill all", 1.0), back=3.0, cut=(0, 1, 2)),
    Scene("thawed, and lying", _spell("freeze", 7.5), SILENT, SILENT, slow_evs=True, tail=7.5),
)

_POSTGRES = (
    Scene("primary killed and back", _spell("kill", 1.0), AT_ONCE, back=1.3),
    Scene("primary terminated and back", _spell("terminate", 1.0), AT_ONCE, back=1.3),
    Scene("primary refused", _spell("refuse", 1.0), AT_ONCE, back=1.3),
    Scene("primary reset", _spell("reset", 1.0), AT_ONCE, back=1.3),
    Scene("primary killed, a standby promoted", _promotion("kill", 2.0), AT_ONCE, AT_ONCE, synchronous=True),
    Scene("primary frozen, a standby promoted", _promotion("freeze", None), SILENT, SILENT, synchronous=True, tail=2.0),
    Scene("primary frozen, a standby promoted, thawed", _promotion("freeze", 2.2), SILENT, SILENT, synchronous=True),
    Scene("primary black-holed, a standby promoted", _promotion("black hole", 2.2), SILENT, SILENT, synchronous=True),
    Scene(
        "primary killed, standby black-holed, the other promoted",
        (Act(0.0, "kill"), Act(0.1, "black hole", 2), Act(0.4, "promote", 1), Act(1.7, "clear", 2), Act(0.0, "start")),
        SILENT,
        SILENT,
        cut=(0, 2),
        synchronous=True,
        either=True,
    ),
    Scene("standby killed", _spell("kill", 1.0, 1), AT_ONCE, AT_ONCE, cut=(1,), either=True),
    Scene("standby terminated", _spell("terminate", 1.0, 1), AT_ONCE, AT_ONCE, cut=(1,), either=True),
    Scene("standby frozen", _spell("freeze", 2.0, 1), SILENT, AT_ONCE, cut=(1,), either=True),
    Scene("standby black-holed", _spell("black hole", 2.0, 1), SILENT, AT_ONCE, cut=(1,), either=True),
    Scene("standby refused", _spell("refuse", 1.0, 1), AT_ONCE, AT_ONCE, cut=(1,), either=True),
    Scene("standby reset", _spell("reset", 1.0, 1), AT_ONCE, AT_ONCE, cut=(1,), either=True),
    Scene("standby 20 times slower", _spell("slow", 1.5, 1), 0.3, AT_ONCE, cut=(1,), either=True),
    Scene("both standbys down and back", _spell("kill", 1.5, 1, 2), AT_ONCE, AT_ONCE, cut=(1, 2)),
    Scene("primary read only", _spell("read only", 0.7), AT_ONCE, back=1.3),
    Scene("primary's connections exhausted", _spell("exhaust", 1.0), 0.3, back=1.3),
    Scene("rolling restart", _rolling(2, 1, 0), 0.3, back=1.3, cut=(0, 1, 2)),
    Scene("all down and back", _spell("kill all", 1.0), back=1.5, cut=(0, 1, 2)),
)

SCENES: Mapping[str, tuple[Scene, ...]] = {"galera": (*_GALERA, *_SHARED), "postgres": (*_POSTGRES, *_SHARED)}
"""By engine."""


def in_turn(engine: str, *names: str, pace: float = 1.0) -> Scene:
    """Several scenes as one, each a moment after the one before, without bounds; all pauses are `pace` times as long."""
    acts: list[Act] = []
    chosen = [next(scene for scene in SCENES[engine] if scene.name == name) for name in names]
    for scene in chosen:
        acts += [*(Act(act.after * pace, act.do, act.on) for act in scene.acts), Act(0.0, "pause")]
    return Scene("in turn", tuple(acts), cut=(0, 1, 2), synchronous=any(scene.synchronous for scene in chosen))


def scenes(engine: str, names: tuple[str, ...] = ()) -> tuple[Scene, ...]:
    """Those whose name contains one of these words, or all. Raises `LookupError` where there is none."""
    found = tuple(scene for scene in SCENES[engine] if not names or any(name in scene.name for name in names))
    if not found:
        raise LookupError(f"{engine} has no scene like {', '.join(names)}: {', '.join(scene.name for scene in SCENES[engine])}")
    return found
