"""What the page shows, as text and figures ready to be drawn: the template and the script only put them in their places.

Nothing is formatted anywhere else. Rule: plain text; whoever draws it escapes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ...node import Health
from ...stats import ClusterStats, NodeStats
from .history import History
from .words import age, clock, duration, heard_of, size, trouble

__all__ = ["page"]

_LEVELS = {Health.UP: "good", Health.DOWN: "bad", Health.SUSPECT: "warning", Health.HALF_OPEN: "warning"}
GAUGE = 100
"""The width of a gauge, in the units of its SVG."""


def page(stats: Iterable[ClusterStats], reasons: Mapping[str, str | None], history: History, now: float) -> dict[str, Any]:
    """The page at a moment. `reasons`: why clusters are not ready. `now`: on the clock of `history`."""
    moment = datetime.now(UTC)
    clusters = [_cluster(each, reasons[each.name], history, now, moment) for each in stats]
    return {"at": moment.isoformat(), "verdict": _verdict(clusters), "clusters": clusters}


def _verdict(clusters: list[dict[str, Any]]) -> dict[str, str]:
    """One line for all: the worst comes first."""
    nodes = [(cluster, node) for cluster in clusters for node in cluster["nodes"]]
    prefix = len(clusters) > 1
    bad = [(f"{cluster['name']}/" if prefix else "") + node["name"] for cluster, node in nodes if node["level"] == "bad"]
    warned = [(f"{cluster['name']}/" if prefix else "") + node["name"] for cluster, node in nodes if node["level"] == "warning"]
    unready = [cluster["name"] for cluster in clusters if not cluster["ready"]]
    serving = sum(node["level"] in ("good", "warning") and not node["draining"] for _, node in nodes)
    if unready:
        return {"level": "bad", "text": f"Not ready: {_names(unready)}. {serving} of {_count(len(nodes), 'node')} up."}
    if bad:
        verb = "is" if len(bad) == 1 else "are"
        return {"level": "bad", "text": f"{_names(bad)} {verb} down. {serving} of {_count(len(nodes), 'node')} up."}
    if warned:
        verb = "needs" if len(warned) == 1 else "need"
        return {"level": "warning", "text": f"{_names(warned)} {verb} a look. {serving} of {_count(len(nodes), 'node')} up."}
    return {"level": "good", "text": "The only node is up." if len(nodes) == 1 else f"All {len(nodes)} nodes are up."}


def _cluster(stats: ClusterStats, reason: str | None, history: History, now: float, moment: datetime) -> dict[str, Any]:
    nodes = [_node(node, stats, history, now, moment) for node in stats.nodes.values()]
    leased, idle, returning = (
        sum(getattr(node, what) for node in stats.nodes.values()) for what in ("leased", "idle", "returning")
    )
    size_ = stats.max_size * len(nodes)
    if stats.max_total is not None:
        size_ = min(size_, stats.max_total)
    return {
        "name": stats.name,
        "driver": stats.driver or "none yet",
        "target": stats.target,
        "ready": reason is None,
        "state": "ready" if reason is None else "not ready",
        "level": "good" if reason is None else "bad",
        "reason": reason or "",
        "open": "" if stats.open else "The cluster is not open: there is no pool and no monitor.",
        "pool": _gauge(leased, returning, idle, size_),
        "waiting": f"{stats.waiting:,}",
        "waiting_level": "warning" if stats.waiting else "calm",
        "lease_time": duration(stats.lease_time),
        "hedges": f"{stats.hedge_tokens:.1f}",
        "nodes": nodes,
    }


def _node(node: NodeStats, stats: ClusterStats, history: History, now: float, moment: datetime) -> dict[str, Any]:
    level = _level(node)
    line = history.line(stats.name, node.name, now)
    spread = "nothing measured in the last minute"
    if line.low is not None:
        spread = f"round trip in the last minute: {duration(line.low)} to {duration(line.high)}"
    return {
        "name": node.name,
        "address": node.address if node.address != node.name else "",
        "level": level,
        "health": _health(node),
        "since": _since(node, moment),
        "cause": "" if node.cause == node.last_error_message else node.cause or "",  # told once
        "draining": node.draining,
        "role": str(node.role) + {True: ", writer", False: "", None: ""}[node.writer],
        "lag": _lag(node),
        "round_trip": duration(node.round_trip if node.health is Health.UP else None),
        "login": f"login {duration(node.latency)}" + (f", p95 {duration(node.p95)}" if node.p95 is not None else ""),
        "line": line.path,
        "line_label": spread,
        "pool": _gauge(node.leased, node.returning, node.idle, stats.max_size),
        "others": f"+ {node.open} not of the pool" if node.open else "",
        "counts": f"{_count(node.wins, 'win')}, {_count(node.errors, 'error')}",
        "error": node.last_error_message or "",
        "error_at": "" if node.last_error is None else f"{node.last_error:%Y-%m-%d %H:%M:%S} UTC",
        "error_age": "" if node.last_error is None else age(node.last_error, moment),
    }


def _health(node: NodeStats) -> str:
    return "draining" if node.draining else trouble(node) or str(node.health)


def _level(node: NodeStats) -> str:
    if node.health is not Health.UP:
        return _LEVELS[node.health]
    if node.draining or node.cause:
        return "warning"
    return "calm" if node.last_success is None and node.observed is None else "good"


def _since(node: NodeStats, moment: datetime) -> str:
    """Since when it is what it is."""
    if node.health is Health.UP and not heard_of(node):
        return "not heard of yet"
    return f"since {clock(node.since)}, {age(node.since, moment)}"


def _lag(node: NodeStats) -> str:
    if node.lag is None:
        return "—" if not node.lag_bytes else size(node.lag_bytes)
    text = "0 s" if node.lag == 0 else duration(node.lag)
    return f"{text} · {size(node.lag_bytes)}" if node.lag_bytes else text


def _gauge(leased: int, returning: int, idle: int, limit: int) -> dict[str, Any]:
    """Bars of a gauge, and the same in words. What is over the limit (it was made smaller) fills the gauge."""
    whole = max(limit, leased + returning + idle, 1)
    bars, x = [], 0.0
    for kind, count in (("leased", leased), ("returning", returning), ("idle", idle)):
        width = GAUGE * count / whole
        bars.append({"kind": kind, "x": round(x, 2), "width": round(width, 2)})
        x += width
    label = f"{leased} leased, {idle} idle" + (f", {returning} being reset" if returning else "") + f", of {limit} at most"
    return {"text": f"{leased} / {limit}", "label": label, "bars": bars}


def _names(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
