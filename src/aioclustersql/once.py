"""`connect`: a script's one-liner, a cluster for the length of one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .cluster import Cluster
from .drivers.base import Driver
from .inventory import Nodes
from .opening import Connecting

if TYPE_CHECKING:
    from .settings import Aiomysql, Aiosqlite, Asyncmy, Asyncpg, Psycopg

__all__ = ["connect"]

C = TypeVar("C")


# fmt: off
@overload
def connect(
    nodes: Nodes, *, driver: Literal["aiomysql"],
    target: str = ..., timeout: float | None = ..., wait: bool = ..., **connect_options: Any,
) -> Connecting[Aiomysql]: ...
@overload
def connect(
    nodes: Nodes, *, driver: Literal["aiosqlite"],
    target: str = ..., timeout: float | None = ..., wait: bool = ..., **connect_options: Any,
) -> Connecting[Aiosqlite]: ...
@overload
def connect(
    nodes: Nodes, *, driver: Literal["asyncmy"],
    target: str = ..., timeout: float | None = ..., wait: bool = ..., **connect_options: Any,
) -> Connecting[Asyncmy]: ...
@overload
def connect(
    nodes: Nodes, *, driver: Literal["asyncpg"],
    target: str = ..., timeout: float | None = ..., wait: bool = ..., **connect_options: Any,
) -> Connecting[Asyncpg]: ...
@overload
def connect(
    nodes: Nodes, *, driver: Literal["psycopg"],
    target: str = ..., timeout: float | None = ..., wait: bool = ..., **connect_options: Any,
) -> Connecting[Psycopg]: ...
@overload
def connect(
    nodes: Nodes, *, driver: Driver[C],
    target: str = ..., timeout: float | None = ..., wait: bool = ..., **connect_options: Any,
) -> Connecting[C]: ...
@overload
def connect(
    nodes: Nodes, *, driver: str | None = ...,
    target: str = ..., timeout: float | None = ..., wait: bool = ..., **connect_options: Any,
) -> Connecting[Any]: ...
# fmt: on
def connect(
    nodes: Nodes,
    *,
    driver: str | Driver[Any] | None = None,
    target: str = "read-write",
    timeout: float | None = None,
    wait: bool = False,
    **connect_options: Any,
) -> Connecting[Any]:
    """A script's one-liner: one connection to the first fit of some nodes, without keeping a cluster.

        async with aioclustersql.connect("postgresql://app@db1,db2,db3/shop") as conn: ...

    Entered, everything is closed at the end; awaited, the connection is the caller's. Arguments as `Cluster` and its `connect`.
    """
    cluster: Cluster[Any] = Cluster(nodes, driver=driver, name="connect", target=target, connect_options=connect_options)

    async def open_() -> Any:
        return await cluster.connect(timeout=timeout, wait=wait)

    async def close(conn: Any, exc: BaseException | None) -> None:
        try:
            await cluster._end_connection(conn, exc)
        finally:
            await cluster.close()

    return Connecting(open_, close)
