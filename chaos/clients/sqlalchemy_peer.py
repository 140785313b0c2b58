"""SQLAlchemy's async engine over several hosts, with asyncpg below: with pre-ping, and with pre-ping and time-outs.

The URL with several `host=` and target_session_attrs is in its documentation of the asyncpg dialect, `pool_pre_ping` is what
its chapter on disconnects recommends, one engine to write and one to read is the usual split. Fair because pool sizes are its
defaults and `TunedPrePing` sets every time-out that the pool and the driver have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from chaos.clients import asyncpg_peer
from chaos.clients.sending import Sending, addresses, within
from chaos.clients.sql import insert, newest

__all__ = ["PrePing", "TunedPrePing"]


class PrePing:
    """`create_async_engine(..., pool_pre_ping=True)`: 5 connections and 10 more, 30 s to get one."""

    name = "SQLAlchemy, multi-host, pre-ping"
    options: ClassVar[Mapping[str, Any]] = {}

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        self._insert, self._newest = text(insert(table, ":key")), text(newest(table))
        self._writer, self._reader = (
            create_async_engine(_url(urls, target), pool_pre_ping=True, **self.options)
            for target in ("read-write", "prefer-standby")
        )

    async def append(self, key: str) -> None:
        with Sending() as unit:
            async with self._writer.begin() as conn:
                await conn.execute(self._insert, {"key": key})
                unit.sends()  # the end of the block commits

    async def read(self) -> None:
        async with self._reader.connect() as conn:
            await conn.scalar(self._newest)

    def unknown(self, error: BaseException) -> bool:
        return asyncpg_peer.unknown(error, error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else None)

    async def close(self) -> None:
        for engine in (self._writer, self._reader):
            await within(3.0, engine.dispose())


class TunedPrePing(PrePing):
    """With 1 s for a login (all hosts share it), for a statement, and to get a connection."""

    name = "SQLAlchemy, multi-host, pre-ping, tuned"
    options: ClassVar[Mapping[str, Any]] = {"pool_timeout": 1.0, "connect_args": {"timeout": 1.0, "command_timeout": 1.0}}


def _url(urls: Mapping[str, str], target: str) -> URL:
    nodes = addresses(urls)
    hosts = [f"{node.host}:{node.port}" for node in nodes]
    query = {"host": hosts, "target_session_attrs": target}
    return URL.create("postgresql+asyncpg", username=nodes[0].user, database=nodes[0].database, query=query)
