"""What the stand wants of a client: a library, used in one way, that appends keys to a table and reads it.

Rule: a client does what its library's documentation says, with its defaults unless its name says otherwise; it retries nothing by
itself. The stand measures from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Client"]


class Client(Protocol):
    """One library in one way of use, over the nodes of one cluster.

    `append` and `read` are called by many tasks at once. The table exists on all nodes; its columns are `id`, which the server
    fills (with values that collide on no node), and `k`, the key, up to 40 characters.
    """

    name: str
    """What stands in the tables: "aioclustersql run", "asyncpg pool, multi-host", …"""

    async def open(self, urls: Mapping[str, str], table: str) -> None:
        """Be ready to work; `urls` maps the nodes' names to their URLs, which lead through the stand's proxies."""
        ...

    async def append(self, key: str) -> None:
        """Append a key, once: `INSERT INTO table (k) VALUES (key)`. Returning means that it was acknowledged."""
        ...

    async def read(self) -> None:
        """Read the table once (`SELECT MAX(id) FROM table`), from wherever this client reads."""
        ...

    def unknown(self, error: BaseException) -> bool:
        """Whether this error of an append left open if it was carried out: it came when the COMMIT may have been sent."""
        ...

    async def close(self) -> None:
        """Close everything, within a bound of its own; the stand reports what hangs."""
        ...
