"""aioclustersql: an asyncio-native connection multiplexer for SQL clusters.

    cluster = Cluster("postgresql://app@db1,db2,db3/shop")
    async with cluster.connect() as conn: ...

What users import; nothing else lives here. Each name is imported when it is first used, so that commands are quick to start, and
can be stopped quietly from their first moment.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cluster import Cluster
    from .errors import (
        AcquireTimeout,
        AllNodesFailed,
        ClusterError,
        ClusterTimeout,
        ConfigError,
        ConnectTimeout,
        LoginAbandoned,
        NodeNotFit,
        NoNodeAvailable,
        NotLeased,
        NotOpen,
        ReadyTimeout,
        TooManyWaiters,
        TransactionOutcomeUnknown,
        UnknownNode,
        WrongLoop,
    )
    from .node import Health, Node, Role, Target
    from .once import connect
    from .stats import ClusterStats, Histogram, NodeStats
    from .view import ClusterView

__version__ = "0.1.0"

__all__ = [
    "AcquireTimeout",
    "AllNodesFailed",
    "Cluster",
    "ClusterError",
    "ClusterStats",
    "ClusterTimeout",
    "ClusterView",
    "ConfigError",
    "ConnectTimeout",
    "Health",
    "Histogram",
    "LoginAbandoned",
    "NoNodeAvailable",
    "Node",
    "NodeNotFit",
    "NodeStats",
    "NotLeased",
    "NotOpen",
    "ReadyTimeout",
    "Role",
    "Target",
    "TooManyWaiters",
    "TransactionOutcomeUnknown",
    "UnknownNode",
    "WrongLoop",
    "__version__",
    "connect",
]

_ROOMS = {
    "cluster": ("Cluster",),
    "node": ("Health", "Node", "Role", "Target"),
    "once": ("connect",),
    "stats": ("ClusterStats", "Histogram", "NodeStats"),
    "view": ("ClusterView",),
}
"""Where each name is at home; all others are errors."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from importlib import import_module

        room = next((room for room, names in _ROOMS.items() if name in names), "errors" if name in __all__ else None)
        if room is not None:
            globals()[name] = found = getattr(import_module(f".{room}", __name__), name)
            return found
        try:
            if not name.startswith("_"):
                return import_module(f".{name}", __name__)  # a room itself, as in `aioclustersql.events.Event`
        except ModuleNotFoundError as exc:
            if exc.name != f"{__name__}.{name}":
                raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
