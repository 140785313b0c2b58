"""What transactions need of the pool: connections on lease, and a place to say how they fared.

The interface lives here, and what stands in for a pool where there is none; `pool` implements it. Rule: every lease ends in
exactly one `release` or `discard`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol, TypeVar

from ..errors import NotOpen
from ..failure import FailureKind
from ..node import Wants

__all__ = ["Lease", "Leases", "NoLeases"]

C_co = TypeVar("C_co", covariant=True)


class Lease(Protocol[C_co]):
    """A connection that is ours for a while."""

    @property
    def conn(self) -> C_co:
        """The driver's own connection."""
        ...

    @property
    def node(self) -> str:
        """The name of the node it is on."""
        ...


class Leases(Protocol[C_co]):
    """Where leases come from and go back to. A pool takes back its own alone, whose class is its own affair: hence `Any`."""

    async def acquire(self, wants: Wants, deadline: float, *, interrupt: bool, avoid: Collection[str] = ()) -> Lease[C_co]:
        """A connection to a node that fits, by `deadline` on the loop's clock (`math.inf`: none).

        `interrupt`: whether it may be cut when its node falls silent. `avoid`: rather another node than these, if any other
        serves. Raises `AcquireTimeout`, `TooManyWaiters`, `NotOpen`, and `AllNodesFailed` for causes that time does not heal.
        """
        ...

    def release(self, lease: Any, /) -> None:
        """Give it back; it is reset in the background, or closed when it is not fit for others."""
        ...

    def discard(self, lease: Any, /) -> None:
        """Give it back to be closed: nobody knows what state it is in."""
        ...

    def failed(self, lease: Any, exc: BaseException, /) -> FailureKind:
        """Tell what the driver raised there: the node's health and the lease's fitness follow. Returns what it means."""
        ...

    def note(self, lease: Any, exc: BaseException, /) -> None:
        """Note on an exception that is about to reach the user: which node, and why the connection was interrupted."""
        ...


class NoLeases:
    """There is no pool: transactions begin on connections that their callers have, and no lease ever ends."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster

    async def acquire(
        self,
        _wants: Wants,
        _deadline: float,
        *,
        interrupt: bool,  # noqa: ARG002 - the protocol's
        avoid: Collection[str] = (),  # noqa: ARG002
    ) -> Lease[Any]:
        """There is none."""
        raise NotOpen(f"cluster {self._cluster!r} is not open: enter it (async with cluster), or await its open()")

    def release(self, _lease: Any, /) -> None:
        """As `Leases.release`."""

    def discard(self, _lease: Any, /) -> None:
        """As `Leases.discard`."""

    def failed(self, _lease: Any, _exc: BaseException, /) -> FailureKind:
        """As `Leases.failed`."""
        return FailureKind.OTHER

    def note(self, _lease: Any, _exc: BaseException, /) -> None:
        """As `Leases.note`."""
