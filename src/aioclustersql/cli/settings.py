"""A cluster as commands use it: out of a configuration, changed where a command wants something else. No I/O."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ..cluster import Cluster
from ..config import Settings

__all__ = ["quiet_cluster"]


def quiet_cluster(settings: Settings) -> tuple[Settings, Cluster[Any]]:
    """A cluster to look at: it keeps no pooled connections, and is monitored whatever the file says."""
    over: dict[str, Any] = {"min_size": 0}
    if settings.options.get("monitor_interval", 1.0) is None:
        over["monitor_interval"] = 1.0
    changed = replace(settings, options=MappingProxyType({**settings.options, **over}))
    return changed, Cluster(changed.nodes, **changed.options)
