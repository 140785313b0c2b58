"""Every error of this library, in one hierarchy; no logic lives here.

    ClusterError
    ├── ConfigError                  a setting, an address or an option is wrong
    ├── UnknownNode                  (LookupError) no node of that name, or a stranger's connection
    ├── NotOpen                      the cluster is closed, or was closed meanwhile
    ├── WrongLoop                    used from a second event loop while in use in another, or in a forked child
    ├── NodeNotFit                   one node answered, but is not what was asked for
    ├── LoginAbandoned               one login was ended because its node was found down or removed
    ├── NoNodeAvailable              there is no node that could be tried
    ├── AllNodesFailed               every node failed; `.errors` says how
    ├── NotLeased                    given back twice
    ├── TooManyWaiters               `max_waiting` callers wait for a pooled connection already
    ├── TransactionOutcomeUnknown    a COMMIT may or may not have been carried out
    └── ClusterTimeout               (TimeoutError) a deadline passed
        ├── ConnectTimeout           ... while opening a connection; `.errors` as above
        ├── AcquireTimeout           ... while waiting for a pooled one
        └── ReadyTimeout             ... while waiting for nodes to be ready

What a driver raises while the user is using the driver's own connection passes through unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "AcquireTimeout",
    "AllNodesFailed",
    "ClusterError",
    "ClusterTimeout",
    "ConfigError",
    "ConnectTimeout",
    "LoginAbandoned",
    "NoNodeAvailable",
    "NodeNotFit",
    "NotLeased",
    "NotOpen",
    "ReadyTimeout",
    "TooManyWaiters",
    "TransactionOutcomeUnknown",
    "UnknownNode",
    "WrongLoop",
]


class ClusterError(Exception):
    """The base of everything this library raises by itself."""


class ConfigError(ClusterError):
    """A setting, an address or an option is wrong; the message names it and says what to write."""


class UnknownNode(ClusterError, LookupError):
    """No node of that name is registered, or the connection was not opened by this cluster."""


class NotOpen(ClusterError):
    """The cluster is not open, or was closed while the call was under way."""


class WrongLoop(ClusterError):
    """The cluster is in use in one event loop and was called from another."""


class NodeNotFit(ClusterError):
    """A node let us in, but its role is not what `target` asks for.

    `lasting`: the target has no meaning there, and no failover will change that.
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class LoginAbandoned(ClusterError):
    """A login was ended early because its node was found down or was removed."""


class NoNodeAvailable(ClusterError):
    """No node is registered that could be tried."""


class _WithNodeErrors(ClusterError):
    def __init__(self, message: str, errors: Mapping[str, BaseException]) -> None:
        super().__init__(message)
        self.errors: Mapping[str, BaseException] = MappingProxyType(dict(errors))

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (str(self), dict(self.errors)))


class AllNodesFailed(_WithNodeErrors):
    """Every node that could be tried failed.

    `errors` maps each node's name to its exception; the same exceptions are in the
    `ExceptionGroup` that is this error's `__cause__`. The message names every node and cause.
    """


class ClusterTimeout(ClusterError, TimeoutError):
    """A deadline passed. Also a `TimeoutError`."""


class ConnectTimeout(_WithNodeErrors, ClusterTimeout):
    """No node gave a connection in time.

    The message says what each node was doing; `errors` holds the nodes that had failed by then.
    """


class AcquireTimeout(_WithNodeErrors, ClusterTimeout):
    """No pooled connection came free in time.

    The message says what the pool and each node were doing, and where the waiting task holds connections itself.
    """


class ReadyTimeout(ClusterTimeout):
    """Too few nodes were ready in time; the message says what each is."""


class NotLeased(ClusterError):
    """A pooled connection was given back that is not leased: somebody has given it back before."""


class TooManyWaiters(ClusterError):
    """So many callers wait for a pooled connection already as `max_waiting` allows."""


class TransactionOutcomeUnknown(ClusterError):
    """The connection was lost, or the time was over, after COMMIT was sent: it may or may not have been carried out.

    Also raised where a transaction was over before its COMMIT (an implicit commit by DDL, a COMMIT or ROLLBACK of the unit's
    own), as then a part of the unit may be committed and another not. Nothing was run again. Look in the database, or say
    `idempotent=True` where running twice does no harm. The cause is the driver's exception; `node` is the name of the node.
    """

    sqlstate = "08007"

    def __init__(self, message: str, node: str | None = None) -> None:
        super().__init__(message)
        self.node = node

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (str(self), self.node))
