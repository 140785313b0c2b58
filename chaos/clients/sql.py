"""The two statements of every peer. Rule: they are the same for all, and those that `Client` asks for."""

from __future__ import annotations

__all__ = ["insert", "newest"]


def insert(table: str, parameter: str) -> str:
    """Append a key; `parameter` is how the driver marks where its value goes."""
    return f"INSERT INTO {table} (k) VALUES ({parameter})"


def newest(table: str) -> str:
    """Read the table."""
    return f"SELECT MAX(id) FROM {table}"
