"""All that `check` finds out about a cluster: every node at the same time, and within the connect time-out and a second.

Rule: what was made is dropped and what was opened is closed, also when the check is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ...cluster import Cluster
from ...config import Settings
from ...config.tables import ClusterSection, MonitorSection, PoolSection
from ...drivers import by_name, for_url
from ...drivers.base import Driver
from .facts import ClusterFacts, Needs
from .trial import Trial
from .visit import Visit

__all__ = ["Examination"]

_SPARE = 0.4
"""Seconds after the connect time-out for what is asked of a node that let us in at its very end."""
_HEAD_START = 2.0
"""Seconds, or half of the connect time-out: nodes that let us in by then take part in the look at replication."""
_DEFAULTS: Mapping[str, Any] = {
    key: field.default
    for table in (ClusterSection, PoolSection, MonitorSection)
    for key, field in ((table.prefix + name, field) for name, field in table.model_fields.items())
}


class Examination:
    """One check of the cluster that a configuration describes; used once."""

    def __init__(self, settings: Settings, *, processes: int = 1, write: bool = True) -> None:
        """No I/O. Raises `ConfigError` for what is wrong with the settings, as `Cluster` does."""
        options = {**_DEFAULTS, **settings.options}
        size = min(options["max_size"], options["max_total"] or options["max_size"])
        self.needs = Needs(
            processes=processes,
            max_size=size,
            monitored=options["monitor_interval"] is not None,
            max_idle_time=options["max_idle_time"],
            max_lag=options["max_lag"],
            connect_timeout=options["connect_timeout"],
        )
        over = {"target": "read-write", "monitor_interval": None, "min_size": 0, "close_timeout": 1.0}
        cluster: Cluster[Any] = Cluster(settings.nodes, **{**settings.options, **over})
        named = options["driver"]
        driver: Driver[Any] = by_name(named) if isinstance(named, str) else named or for_url(settings.nodes[0].dsn)
        shared = settings.options.get("connect_options", {})
        self._visits = [Visit(node, driver, shared) for node in settings.nodes]
        self._trial = Trial(cluster, self._visits, size)
        self._write = write

    async def run(self) -> ClusterFacts:
        """Find it all out."""
        limit = self.needs.connect_timeout
        login_by = asyncio.get_running_loop().time() + limit
        trial, late = self._trial, login_by + _SPARE
        try:
            async with asyncio.TaskGroup() as tasks:
                visiting = [tasks.create_task(visit.run(login_by, late), name=f"check {visit.name}") for visit in self._visits]
                if self._write:
                    tasks.create_task(trial.accept(late), name="check acceptance")
                    tasks.create_task(trial.replicate(visiting, min(_HEAD_START, limit / 2), late), name="check replication")
        finally:
            await trial.clean()
            await asyncio.gather(*(visit.close() for visit in self._visits))
        nodes = tuple(visit.facts for visit in self._visits if visit.facts is not None)
        let_in = {node.name for node in nodes if node.failure is None}
        unseen = {name: why for name, why in trial.unseen.items() if name in let_in}
        return ClusterFacts(nodes, self._write, trial.acceptance, trial.missing, unseen, trial.left)
