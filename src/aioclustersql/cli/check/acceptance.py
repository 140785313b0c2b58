"""The acceptance list of the Go package: the statements that a cluster has to carry out before it goes into production.

Each step begins without its table and may leave it; whoever runs a step drops it. Rule: a step says what was wrong in one line.
"""

from __future__ import annotations

from typing import Protocol

from .session import Session
from .uncut import uncut

__all__ = ["STEPS", "Step", "Unexpected"]


class Step(Protocol):
    """One thing that a cluster has to do; its docstring says which."""

    __name__: str

    async def __call__(self, db: Session, table: str, /) -> None: ...


class Unexpected(Exception):
    """A statement was carried out, and did something else than it should."""


def _expect(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise Unexpected(f"{what} gave {found!r}, and not {wanted!r}")


async def _make(db: Session, table: str) -> None:
    await uncut(db.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, value BOOL)"))


async def drop(db: Session, table: str) -> None:
    """DROP TABLE IF EXISTS, where there is none."""
    await db.execute(f"DROP TABLE IF EXISTS {table}")


async def create(db: Session, table: str) -> None:
    """CREATE, DROP, and CREATE again."""
    await _make(db, table)
    await db.execute(f"DROP TABLE {table}")
    await _make(db, table)


async def empty_select(db: Session, table: str) -> None:
    """A new table is empty."""
    await _make(db, table)
    _expect(await db.rows(f"SELECT * FROM {table}"), [], "SELECT from a new table")  # noqa: S608 - the name is ours


async def insert(db: Session, table: str) -> None:
    """INSERT counts its row."""
    await _make(db, table)
    _expect(await _insert(db, table), 1, "INSERT of a row")


async def select(db: Session, table: str) -> None:
    """SELECT finds it."""
    await _make(db, table)
    await _insert(db, table)
    _expect(await _values(db, table), [(True,)], "SELECT of the row")


async def update(db: Session, table: str) -> None:
    """UPDATE counts its row, and changes it."""
    await _make(db, table)
    await _insert(db, table)
    changed = await db.execute(f"UPDATE {table} SET value = ? WHERE value = ?", False, True)  # noqa: S608 - the name is ours
    _expect(changed, 1, "UPDATE of the row")
    _expect(await _values(db, table), [(False,)], "SELECT after the UPDATE")


async def delete(db: Session, table: str) -> None:
    """DELETE counts its row, and nothing is left."""
    await _make(db, table)
    await _insert(db, table)
    removed = await db.execute(f"DELETE FROM {table} WHERE value = ?", True)  # noqa: S608 - the name is ours
    _expect(removed, 1, "DELETE of the row")
    _expect(await db.execute(f"DELETE FROM {table}"), 0, "DELETE in an empty table")  # noqa: S608 - the name is ours


async def _insert(db: Session, table: str) -> int:
    return await db.execute(f"INSERT INTO {table} VALUES (?, ?)", 1, True)  # noqa: S608 - the name is ours


async def _values(db: Session, table: str) -> list[tuple[object, ...]]:
    found = await db.rows(f"SELECT value FROM {table}")  # noqa: S608 - the name is ours
    return [(bool(value),) for (value,) in found]


STEPS: tuple[Step, ...] = (drop, create, empty_select, insert, select, update, delete)
"""The list, in its order."""
