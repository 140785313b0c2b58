"""Lines of the page's log and of its races' timeline, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .words import clock, duration

__all__ = ["log_line", "race_line"]

WIDTH, LANE = 200, 8
"""Of a race's drawing, in the units of its SVG: its width, and the height of one login's lane."""
_OUTCOMES = {"won": "won", "lost": "came too late", "failed": "failed", "cut": "was cut off"}


def log_line(told: Mapping[str, Any], *, several: bool) -> dict[str, str]:
    """A line of the log. `several`: there are several clusters, so it names its own."""
    where = told["node"] or ""
    return {
        "time": clock(datetime.fromisoformat(told["at"])),
        "at": told["at"],
        "level": told["level"],
        "node": f"{told['cluster']}/{where}".rstrip("/") if several else where or told["cluster"],
        "text": told["text"] + _skipped(told),
    }


def race_line(race: Mapping[str, Any], *, several: bool) -> dict[str, Any]:
    """A race: a bar for each of its logins, on the race's own scale, and the same in words."""
    ends = [login["start"] + (login["seconds"] or 0.0) for login in race["logins"]]
    whole = max([*ends, race["seconds"] or 0.0, 1e-6])
    bars = [
        {
            "x": round(WIDTH * login["start"] / whole, 1),
            "y": LANE * lane,
            "width": max(2.0, round(WIDTH * (login["seconds"] or whole - login["start"]) / whole, 1)),
            "outcome": login["outcome"],
            "label": _login(login),
        }
        for lane, login in enumerate(race["logins"])
    ]
    if race["seconds"] is None:
        result, level = "its caller left", "warning"
    elif race["error"] is not None:
        result, level = "failed" if bars else race["error"], "bad"
    else:
        result, level = race["node"] or "", "good" if len(race["logins"]) == 1 else "info"
    return {
        "time": clock(datetime.fromisoformat(race["at"])),
        "at": race["at"],
        "level": level,
        "kind": (f"{race['cluster']} " if several else "") + race["kind"],
        "result": result,
        "seconds": duration(race["seconds"]),
        "scale": duration(whole),
        "height": LANE * max(1, len(bars)),
        "bars": bars,
        "logins": "; ".join(bar["label"] for bar in bars) + _skipped(race),
    }


def _login(login: Mapping[str, Any]) -> str:
    what = _OUTCOMES.get(login["outcome"], "was under way")
    words = f"{login['node']} {what}"
    if login["seconds"] is not None:
        words += f" after {duration(login['seconds'])}"
    if login["reason"] not in ("first", "pool", "probe"):
        words += f" ({login['reason']})"
    return words + (f": {login['error']}" if login["error"] else "")


def _skipped(line: Mapping[str, Any]) -> str:
    return f" (+{line['skipped']:,} left out)" if line.get("skipped") else ""
