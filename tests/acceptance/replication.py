"""Whether rows written through each node arrive on every other one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aioclustersql import AllNodesFailed, Cluster, ConnectTimeout, Node
from aioclustersql.config import Settings
from tests.acceptance.session import Session, is_missing_table, session

__all__ = ["Missing", "drop_everywhere", "missing_rows", "session_on"]

_PAUSE = 0.05


@dataclass(frozen=True)
class Missing:
    """A row that did not arrive."""

    node: str
    writer: str
    row: int
    why: str

    def __str__(self) -> str:
        return f"node {self.node}: the row {self.row} that was written through {self.writer} is missing ({self.why})"


async def missing_rows(settings: Settings, table: str, deadline: float) -> list[Missing]:
    """Write a row through every node that takes writes, and name those that another node does not show.

    On Galera a causal read decides at once; elsewhere replication has `deadline` seconds, for all rows together.
    """
    async with AsyncExitStack() as stack:
        sessions = {node.name: await stack.enter_async_context(session_on(node, settings)) for node in settings.nodes}
        writers = {name: each for name, each in sessions.items() if await each.takes_writes()}
        assert writers, f"none of the nodes {', '.join(sessions)} takes writes"
        rows = {name: number for number, name in enumerate(writers, 1)}
        for writer in writers.values():  # where nothing is replicated each needs a table of its own
            await writer.execute(f"CREATE TABLE IF NOT EXISTS {table} (id INT PRIMARY KEY)")
        for name, row in rows.items():
            await writers[name].execute(f"INSERT INTO {table} VALUES (?)", row)
        found = await asyncio.gather(*(_absent(name, each, table, rows, deadline) for name, each in sessions.items()))
    return [missing for node in found for missing in node]


async def drop_everywhere(settings: Settings, table: str) -> None:
    """Drop the table through every node that can be reached and takes writes: one may not replicate to the others."""
    for node in settings.nodes:
        with contextlib.suppress(AllNodesFailed, ConnectTimeout):
            async with session_on(node, settings) as each:
                if await each.takes_writes():
                    await each.execute(f"DROP TABLE IF EXISTS {table}")


@asynccontextmanager
async def session_on(node: Node, settings: Settings) -> AsyncIterator[Session]:
    """A connection to this node, by a cluster of it alone: nothing else can answer in its place."""
    alone: Cluster[Any] = Cluster((node,), **{**settings.options, "target": "any"})
    async with alone, alone.connect() as conn:
        yield session(conn)


async def _absent(node: str, reader: Session, table: str, rows: Mapping[str, int], deadline: float) -> list[Missing]:
    causal = await reader.read_causally()
    loop = asyncio.get_running_loop()
    until = loop.time() + deadline
    while True:
        why = "by a causal read" if causal else f"after {deadline:g} s"
        try:
            seen = {row for (row,) in await reader.rows(f"SELECT id FROM {table}")}
        except Exception as error:
            if not is_missing_table(error):
                raise
            seen, why = set(), f"not even the table is there, {why}"
        absent = [Missing(node, writer, row, why) for writer, row in rows.items() if row not in seen]
        if not absent or causal or loop.time() > until:
            return absent
        await asyncio.sleep(_PAUSE)
