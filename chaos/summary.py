"""From the results of a run to what is kept in the repository: the worst of all rounds, and what is drawn. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from chaos.result import Result, Waiting
from chaos.scenes import SCENES

__all__ = ["DRAWN", "summary"]

DRAWN: Mapping[str, tuple[str, ...]] = {
    "galera": ("frozen", "killed"),
    "postgres": ("primary frozen, a standby promoted, thawed", "primary killed, a standby promoted"),
}
"""The scenes of which there is a picture, by engine."""


def summary(about: Mapping[str, Any], results: Iterable[Result]) -> dict[str, Any]:
    """Engine -> scene -> what befalls whom, and each client's row; and `about`, where and with what it was measured."""
    engines: dict[str, dict[str, dict[str, list[Result]]]] = {}
    for each in results:
        engines.setdefault(each.engine, {}).setdefault(each.scene, {}).setdefault(each.client, []).append(each)
    rows = {
        engine: {
            scene: {"what": _what(engine, scene), "clients": {client: _row(rounds) for client, rounds in clients.items()}}
            for scene, clients in scenes.items()
        }
        for engine, scenes in engines.items()
    }
    return {"about": dict(about), "engines": rows}


def _what(engine: str, name: str) -> str:
    """What befalls whom, in words."""
    nodes = [f"pg{number}" if engine == "postgres" else f"node{number}" for number in (1, 2, 3)]
    scene = next(scene for scene in SCENES[engine] if scene.name == name)
    parts, at = [], 0.0
    for act in scene.acts:
        at += act.after
        parts.append(act.do if act.do.endswith("all") or act.do == "pause" else f"{act.do} {nodes[act.on]}")
        if act.after:
            parts[-1] = f"{parts[-1]} at {at:g} s"
    text = ", ".join(parts)
    again = "; and the same with the two standbys changed" if scene.either else ""
    return text[0].upper() + text[1:] + again


def _row(rounds: list[Result]) -> dict[str, Any]:
    first = rounds[0]
    errors: Counter[str] = Counter()
    for each in rounds:
        errors.update(each.errors)
    row = {
        "rounds": len(rounds),
        "reads": _worst(each.reads for each in rounds),
        "writes": _worst(each.writes for each in rounds),
        "stall": max(each.stall for each in rounds),
        "read_stall": max(each.read_stall for each in rounds),
        "promoted": _most(each.promoted for each in rounds),
        "noticed": _most(each.detected for each in rounds),
        "units": sum(each.reads.units + each.writes.units for each in rounds),
        "errors": dict(sorted(errors.items())),
        "unknown": sum(each.unknown for each in rounds),
        "misplaced": sum(len(each.misplaced) for each in rounds),
        "lost": sum(each.lost for each in rounds),
        "lost_by_database": sum(each.lost_by_database for each in rounds),
        "aborted": sum(sum(counts.values()) for each in rounds for counts in each.aborted.values()),
        "left": max(each.left.sockets + each.left.tasks + each.left.sessions for each in rounds),
        "closing": any(each.left.closing for each in rounds),
        "kept": not any(each.complaints for each in rounds),
    }
    if first.scene in DRAWN[first.engine]:
        row["timeline"] = {"before": round(first.before, 3), "writes": list(first.writes.timeline)}
    return row


def _worst(waitings: Iterable[Waiting]) -> dict[str, Any]:
    worst = max(waitings, key=lambda waiting: (waiting.open, waiting.longest))
    return {"longest": round(worst.longest, 2), "open": worst.open, "gap": round(worst.gap, 2), "total": round(worst.total, 2)}


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
