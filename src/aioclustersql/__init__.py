"""aioclustersql: an asyncio-native connection multiplexer for SQL clusters.

    cluster = Cluster("postgresql://app@db1,db2,db3/shop")
    async with cluster.connect() as conn: ...

What users import; nothing else lives here.
"""

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
