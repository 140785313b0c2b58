"""What time does to the pool: connections grow old, nodes come back, leases are forgotten. One timer, a look a second.

While the connections are spread unevenly it looks more often, and moves one at a time: a node that rejoined is loaded slowly, and
nothing is opened in a storm.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from ..policy.leasing import uneven
from .pooled import Pooled
from .probing import Prober

if TYPE_CHECKING:
    from .pool import Pool

__all__ = ["Keeper"]

C = TypeVar("C")

LOOK, MOVE = 1.0, 0.2
"""Seconds between two looks; between two moves of a connection from one node to another."""
LONG_LEASE = 60.0
"""With `debug` a lease that is held for longer is reported, once."""
_log = logging.getLogger("aioclustersql.pool")


class Keeper(Generic[C]):
    """The housekeeping of one pool."""

    def __init__(self, pool: Pool[C]) -> None:
        self._pool = pool
        self._timer: asyncio.TimerHandle | None = None
        self._prober = Prober(pool.registry, pool.disposal)
        self._reported: dict[int, int] = {}

    def start(self) -> None:
        """Look now, and then again and again."""
        self._look()

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.sweep()
        self._prober.revive(self._pool.loop)
        self._pool.returner.cut_overdue()
        moved = self._spread()
        if self._pool.settings.debug:
            self._report_long_leases()
        self._timer = self._pool.loop.call_later(MOVE if moved else LOOK, self._look)

    def sweep(self) -> None:
        """Close what is too old or too much, and open what is missing."""
        pool = self._pool
        for slot in pool.ledger.outdated(pool.loop.time()):
            if isinstance(slot, Pooled):
                pool.close(slot)
        pool.opener.fill()

    def _spread(self) -> bool:
        """Move one connection towards an even spread, if it is uneven."""
        pool = self._pool
        for serving in pool.supply.of_late(pool.loop.time()):
            move = uneven(serving)
            if move is None:
                continue
            poor, spare = move
            if isinstance(spare, Pooled) and pool.opener.move(spare, poor):
                return True
        return False

    def _report_long_leases(self) -> None:
        pool, now = self._pool, self._pool.loop.time()
        held = {id(slot): slot for book in pool.ledger.books.values() for slot in book.leased if isinstance(slot, Pooled)}
        self._reported = {key: turn for key, turn in self._reported.items() if key in held and held[key].turn == turn}
        for key, slot in held.items():
            if now - slot.since >= LONG_LEASE and key not in self._reported:
                self._reported[key] = slot.turn
                _log.warning(
                    "cluster %s: a connection on node %s has been leased for %.0f s; it was taken at %s",
                    pool.registry.cluster,
                    slot.node,
                    now - slot.since,
                    slot.taken_at,
                )
