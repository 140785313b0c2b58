"""Whether rows written through each node arrive on every other one.

Rule: nothing is written on a node that `may_write` leaves out, and whoever calls this drops the table, whatever happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from .facts import Missing
from .session import Session, is_missing_table
from .uncut import uncut

__all__ = ["missing_rows"]

_PAUSE = 0.05


async def missing_rows(sessions: Mapping[str, Session], writers: Collection[str], table: str, deadline: float) -> list[Missing]:
    """Write a row through every one of `writers`, and name those that another node does not show.

    On Galera a causal read decides at once; elsewhere replication has `deadline` seconds, for all rows together.
    """
    rows = {name: number for number, name in enumerate(writers, 1)}
    for name in rows:  # where nothing is replicated each needs a table of its own
        await uncut(sessions[name].execute(f"CREATE TABLE IF NOT EXISTS {table} (id INT PRIMARY KEY)"))
    for name, row in rows.items():
        await uncut(sessions[name].execute(f"INSERT INTO {table} VALUES (?)", row))  # noqa: S608 - the name is ours
    found = await asyncio.gather(*(_absent(name, each, table, rows, deadline) for name, each in sessions.items()))
    return [missing for node in found for missing in node]


async def _absent(node: str, reader: Session, table: str, rows: Mapping[str, int], deadline: float) -> list[Missing]:
    causal = await reader.read_causally()
    loop = asyncio.get_running_loop()
    until = loop.time() + deadline
    while True:
        why = "by a causal read" if causal else f"after {deadline:.3g} s"
        try:
            seen = {row for (row,) in await reader.rows(f"SELECT id FROM {table}")}  # noqa: S608 - the name is ours
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is why the rows are missing
            if not is_missing_table(error):
                why = f"{type(error).__name__}: {error}"
                return [Missing(node, writer, row, why) for writer, row in rows.items()]
            seen, why = set(), f"not even the table is there, {why}"
        absent = [Missing(node, writer, row, why) for writer, row in rows.items() if row not in seen]
        if not absent or causal or loop.time() > until:
            return absent
        await asyncio.sleep(_PAUSE)
