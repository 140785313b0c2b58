"""What is counted of a cluster as a whole, from its making on; what happened on one node is in `member.Counters`. State only."""

from __future__ import annotations

from ..policy.histogram import Tally

__all__ = ["Totals"]


class Totals:
    """One cluster's counters."""

    __slots__ = ("at_once", "retries", "runs", "timeouts", "turned_away", "unknown", "waits")

    def __init__(self) -> None:
        self.waits = Tally()
        """Of those who had to wait for a lease, and got one."""
        self.at_once = self.timeouts = self.turned_away = 0
        """Leases that nobody had to wait for; callers who waited in vain; callers who were sent away."""
        self.runs = self.retries = self.unknown = 0
