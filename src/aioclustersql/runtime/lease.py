"""What transactions need of the pool: connections on lease, and a place to say how they fared.

The interface lives here, and what stands in for a pool where there is none; `pool` implements it. Rule: every lease ends in
exactly one `release` or `discard`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, NoReturn, Protocol, TypeVar

from ..errors import NotOpen
from ..failure import FailureKind
from ..node import Wants

__all__ = ["Lease", "Leases", "NoLeases"]

C = TypeVar("C")
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


class Leases(Protocol[C]):
    """Where leases come from and go back to."""

    async def acquire(self, wants: Wants, deadline: float, *, interrupt: bool, avoid: Collection[str] = ()) -> Lease[C]:
        """A connection to a node that fits, by `deadline` on the loop's clock (`math.inf`: none).

        `interrupt`: whether it may be cut when its node falls silent. `avoid`: rather another node than these, if any other
        serves. Raises `AcquireTimeout`, `TooManyWaiters`, `NotOpen`, and `AllNodesFailed` for causes that time does not heal.
        """
        ...

    def release(self, lease: Lease[C]) -> None:
        """Give it back; it is reset in the background, or closed when it is not fit for others."""
        ...

    def discard(self, lease: Lease[C]) -> None:
        """Give it back to be closed: nobody knows what state it is in."""
        ...

    def failed(self, lease: Lease[C], exc: BaseException) -> FailureKind:
        """Tell what the driver raised there: the node's health and the lease's fitness follow. Returns what it means."""
        ...

    def note(self, lease: Lease[C], exc: BaseException) -> None:
        """Note on an exception that is about to reach the user: which node, and why the connection was interrupted."""
        ...


class NoLeases(Generic[C]):
    """There is no pool: transactions begin on connections that their callers have."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster

    async def acquire(
        self,
        wants: Wants,  # noqa: ARG002 - as the protocol has it
        deadline: float,  # noqa: ARG002
        *,
        interrupt: bool,  # noqa: ARG002
        avoid: Collection[str] = (),  # noqa: ARG002
    ) -> Lease[C]:
        """There is none."""
        self._refuse()

    def release(self, lease: Lease[C]) -> None:  # noqa: ARG002
        """As `acquire`."""
        self._refuse()

    def discard(self, lease: Lease[C]) -> None:  # noqa: ARG002
        """As `acquire`."""
        self._refuse()

    def failed(self, lease: Lease[C], exc: BaseException) -> FailureKind:  # noqa: ARG002
        """As `acquire`."""
        self._refuse()

    def note(self, lease: Lease[C], exc: BaseException) -> None:  # noqa: ARG002
        """As `acquire`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotOpen(f"cluster {self._cluster!r} is not open: enter it (async with cluster), or await its open()")
