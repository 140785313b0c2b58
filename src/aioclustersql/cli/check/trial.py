"""What the check tries out: the acceptance list through the cluster, and rows that arrive on every node. Its tables go.

Rule: a node is noted before a table is made there, and whatever happens then, `clean` drops it by a connection of its own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Sequence
from typing import Any

from ...cluster import Cluster
from ...errors import AllNodesFailed, ConnectTimeout
from ...runtime.failures import describe
from .acceptance import STEPS
from .facts import Missing
from .replication import missing_rows
from .session import UnknownDriver, session
from .uncut import PATIENCE
from .visit import Visit

__all__ = ["Trial"]

_MOST = 10
"""Connections at once, at most: they are taken from those that others need."""


class Trial:
    """The part of a check that writes."""

    def __init__(self, cluster: Cluster[Any], visits: Sequence[Visit], max_size: int) -> None:
        self.acceptance: str | None = None
        self.missing: tuple[Missing, ...] = ()
        self.unseen: dict[str, str] = {}
        self.left: dict[str, tuple[str, str]] = {}
        self._cluster = cluster
        self._visits = {visit.name: visit for visit in visits}
        self._at_once = min(max_size, _MOST)
        mark = secrets.token_hex(6)
        self._list = f"aioclustersql_check_{mark}_list"
        self._rows = f"aioclustersql_check_{mark}_rows"
        self._touched: dict[str, set[str]] = {}

    async def accept(self, deadline: float) -> None:
        """Carry out the acceptance list on a connection out of the cluster, and take several at once."""
        what = "a connection from the cluster"
        try:
            async with asyncio.timeout_at(deadline):
                async with self._cluster.connect() as conn:
                    db = session(conn)
                    self._touch(self._cluster.node_of(conn), self._list)
                    await db.keep_quiet()
                    for step in STEPS:
                        what = (step.__doc__ or step.__name__).rstrip(".")
                        await step(db, self._list)
                        await db.execute(f"DROP TABLE IF EXISTS {self._list}")
                what = f"{self._at_once} connections at once"
                await asyncio.gather(*(self._one_of_many() for _ in range(self._at_once)))
        except (AllNodesFailed, ConnectTimeout) as exc:
            # where no node takes writes, or none lets us in, the nodes' own findings say it better
            if any(visit.facts is not None and visit.facts.writable for visit in self._visits.values()):
                self.acceptance = f"{what}: {self.said(exc)}"
        except TimeoutError:
            self.acceptance = f"{what}: no answer in time"
        except UnknownDriver:
            pass  # the visits say it
        except Exception as exc:  # noqa: BLE001 - whatever a driver raises is what was found
            self.acceptance = f"{what}: {self.said(exc)}"
        finally:
            await self._cluster.close()

    async def _one_of_many(self) -> None:
        async with self._cluster.connect() as conn:
            await session(conn).rows("SELECT 1")

    async def replicate(self, visiting: Collection[asyncio.Task[None]], patience: float, deadline: float) -> None:
        """Write through every node that takes writes, and look on all; nodes that `visiting` has not met in time are left out."""
        await asyncio.wait(visiting, timeout=patience)
        met = {name: visit for name, visit in self._visits.items() if visit.session is not None and _is_ready(visit)}
        late = [name for name, visit in self._visits.items() if visit.facts is None]
        sessions = {name: visit.session for name, visit in met.items() if visit.session is not None}
        writers = [name for name, visit in met.items() if visit.facts is not None and visit.facts.writable]
        if not writers:
            return
        for name in writers:
            self._touch(name, self._rows)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                for name in writers:
                    await sessions[name].keep_quiet()
                found = await missing_rows(sessions, writers, self._rows, max(0.0, deadline - loop.time() - 0.1))
            self.missing = tuple(found)
        except TimeoutError:
            self.unseen = dict.fromkeys(sessions, "a statement had no answer in time")
        except Exception as exc:  # noqa: BLE001 - the same
            self.unseen = dict.fromkeys(sessions, self.said(exc))
        self.unseen |= dict.fromkeys(late, "it let us in too late")

    async def clean(self) -> None:
        """Drop the tables wherever they may be; `left` names what could not be.

        On one node after another, because Galera's nodes would conflict; the first one drops them for all.
        """
        for node, tables in self._touched.items():
            await self._drop(self._visits[node], sorted(tables))

    async def _drop(self, visit: Visit, tables: Sequence[str]) -> None:
        conn = None
        try:
            async with asyncio.timeout(PATIENCE):
                conn = await visit.log_in()
                db = session(conn)
                await db.keep_quiet()
                for table in tables:
                    await db.execute(f"DROP TABLE IF EXISTS {table}")
        except Exception as exc:  # noqa: BLE001 - the same
            self.left[visit.name] = (", ".join(tables), self.said(exc))
        finally:
            if conn is not None:
                await visit.say_goodbye(conn)

    def _touch(self, node: str, table: str) -> None:
        self._touched.setdefault(node, set()).add(table)

    def said(self, exc: BaseException) -> str:
        """An exception in one line, without the password of any node."""
        text = describe(exc)
        for visit in self._visits.values():
            if visit.secret:
                text = text.replace(visit.secret, "***")
        return text


def _is_ready(visit: Visit) -> bool:
    seen = None if visit.facts is None else visit.facts.observation
    return seen is not None and seen.ready
