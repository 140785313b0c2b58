"""Events in words: what a line of the log says, how it is meant, and the same as plain values for JSON."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from ... import events
from ...node import Health
from .words import duration

__all__ = ["told"]

MAX_TEXT = 1000
"""Characters of a text that a server may have written."""
_LEVELS = {Health.UP: "good", Health.DOWN: "bad", Health.SUSPECT: "warning", Health.HALF_OPEN: "info"}


def told(event: events.Event) -> dict[str, Any]:
    """One line of the log, as the package's docstring has it."""
    level, text = _words(event)
    fields = {
        field.name: _plain(getattr(event, field.name))
        for field in dataclasses.fields(event)
        if field.name not in ("at", "cluster", "node")
    }
    return {
        "at": event.at.isoformat(),
        "cluster": event.cluster,
        "kind": type(event).__name__,
        "level": level,
        "node": getattr(event, "node", None),
        "text": _short(text),
        "fields": fields,
    }


def _words(event: events.Event) -> tuple[str, str]:
    match event:
        case events.HealthChanged(old=old, new=new, cause=cause):
            return _LEVELS[new], f"{old} → {new}" + (f": {cause}" if cause else "")
        case events.RoleChanged(old=old, new=new):
            return ("info" if old == "unknown" else "warning"), f"role {old} → {new}"
        case events.DegradedChanged(cause=cause):
            return ("good", "serves as well as ever") if cause is None else ("warning", f"is better left alone: {cause}")
        case events.SupersededChanged(cause=cause):
            return ("info", "is taken for a primary") if cause is None else ("warning", f"is not taken for a primary: {cause}")
        case events.AcquireFailed(seconds=seconds, error=error):
            return "bad", f"a caller got no pooled connection, after {duration(seconds)}: {error}"
        case events.WriterChanged(writer=writer):
            return "info", "elected to take the writes" if writer else "takes the writes no more"
        case events.Interrupted(connections=connections, cause=cause):
            return "bad", f"{connections} connections cut: {cause}"
        case events.NodeDraining():
            return "warning", "is being drained"
        case events.NodeResumed():
            return "good", "is used again"
        case events.NodeAdded():
            return "info", "was added"
        case events.NodeUpdated():
            return "info", "was changed"
        case events.NodeRemoved():
            return "warning", "was removed"
        case events.RunRetried(run=run, error=error, pause=pause):
            return "info", f"a unit of work failed in its run {run} and runs again in {pause * 1000:.0f} ms: {error}"
        case events.OutcomeUnknown(error=error):
            return "bad", f"nobody knows whether a transaction was committed: {error}"
    return "info", type(event).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return _short(str(value)) if isinstance(value, str) else value


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
