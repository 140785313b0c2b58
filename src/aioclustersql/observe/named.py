"""Several clusters in one process, told apart by their names. Rule: two of one name are an error, and not one line for both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..cluster import Cluster
from ..errors import ConfigError

__all__ = ["by_name"]


def by_name(clusters: Iterable[Cluster[Any]]) -> dict[str, Cluster[Any]]:
    """The clusters by their names, in their order. Raises `ConfigError` when two have the same name."""
    named: dict[str, Cluster[Any]] = {}
    for cluster in clusters:
        if named.setdefault(cluster.name, cluster) is not cluster:
            raise ConfigError(f"two clusters are named {cluster.name!r}; tell them apart by Cluster(..., name=...)")
    return named
