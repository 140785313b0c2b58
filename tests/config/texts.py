"""Pieces of config.toml that many tests begin with."""

from __future__ import annotations

SECRET = "s3cr3t-hunter2"
"""What no message may show."""

ONE_NODE = """
[[nodes]]
name = "a"
dsn = "mysql://root@db1/test"
"""


def fields(**changes: str) -> str:
    """A file with one node made of fields; `changes` are lines of TOML values by key."""
    keys = {"name": '"a"', "host": '"db1"'} | changes
    return '[cluster]\ndriver = "asyncpg"\n[[nodes]]\n' + "\n".join(f"{key} = {value}" for key, value in keys.items())
