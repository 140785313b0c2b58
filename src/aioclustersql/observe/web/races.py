"""Puts races together out of the events of their logins: who ran, who won, how long each took.

Pure: no clock, no loop. Rule: bounded; a race whose end never comes (its caller left) is told when it is old.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ...events import Connected, ConnectFailed, Event, LoginCut, LoginFailed, LoginStarted, LoginSucceeded

__all__ = ["LOGIN_EVENTS", "Login", "Race", "Races"]

LOGIN_EVENTS = (LoginStarted, LoginSucceeded, LoginFailed, LoginCut, Connected, ConnectFailed)
MAX_OPEN = 256
"""Races under way that are remembered; with more the oldest are told as they are."""
OLD = timedelta(seconds=60)
"""After so long a race is told as it is."""


@dataclass(slots=True)
class Login:
    """One login of a race. `outcome`: pending, in (so far not won), won, lost, failed or cut."""

    node: str
    reason: str
    at: datetime
    seconds: float | None = None
    outcome: str = "pending"
    error: str | None = None


@dataclass(slots=True)
class Race:
    """One connect and its logins, or one login of the pool's or the monitor's (`kind`: connect, pool, probe)."""

    cluster: str
    kind: str
    at: datetime
    node: str | None = None
    seconds: float | None = None
    error: str | None = None
    logins: list[Login] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether the caller has his answer and no login is under way."""
        return self.seconds is not None and all(login.seconds is not None for login in self.logins)

    @property
    def routine(self) -> bool:
        """Whether it is the usual: one login, which won."""
        return len(self.logins) == 1 and self.logins[0].outcome == "won"

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON; see the package's docstring."""
        logins = [
            {
                "node": login.node,
                "reason": login.reason,
                "start": max(0.0, (login.at - self.at).total_seconds()),
                "seconds": login.seconds,
                "outcome": login.outcome,
                "error": login.error,
            }
            for login in self.logins
        ]
        return {
            "at": self.at.isoformat(),
            "cluster": self.cluster,
            "kind": self.kind,
            "node": self.node,
            "seconds": self.seconds,
            "error": self.error,
            "logins": logins,
        }


class Races:
    """The races under way of one cluster."""

    def __init__(self) -> None:
        self._open: dict[int, Race] = {}
        self._single: list[Race] = []

    def take(self, event: Event) -> Iterator[Race]:
        """Take note of a login's event; the races that are over by it, or too old to be waited for."""
        match event:
            case LoginStarted(node=node, reason=reason, connect=connect):
                self._race(event, connect, reason).logins.append(Login(node, reason, event.at))
            case LoginSucceeded(node=node, seconds=seconds, lost=lost, connect=connect):
                self._end(event, connect, node, seconds, "lost" if lost else "in")
            case LoginFailed(node=node, seconds=seconds, error=error, connect=connect):
                self._end(event, connect, node, seconds, "failed", error)
            case LoginCut(node=node, seconds=seconds, why=why, connect=connect):
                self._end(event, connect, node, seconds, "cut", why)
            case Connected(node=node, seconds=seconds, connect=connect):
                self._decide(self._race(event, connect, "", seconds), seconds, node, None)
            case ConnectFailed(seconds=seconds, error=error, connect=connect):
                self._decide(self._race(event, connect, "", seconds), seconds, None, error)
        yield from self._finished(event.at)

    def _race(self, event: Event, connect: int | None, reason: str, ago: float = 0.0) -> Race:
        if connect is None:
            race = Race(event.cluster, "pool" if reason == "pool" else "probe", event.at)
            self._single.append(race)
            return race
        began = event.at - timedelta(seconds=ago)
        return self._open.setdefault(connect, Race(event.cluster, "connect", began))

    def _end(self, event: Event, connect: int | None, node: str, seconds: float, outcome: str, error: str | None = None) -> None:
        races = self._single if connect is None else [self._open[connect]] if connect in self._open else []
        found = [(race, login) for race in races for login in race.logins if login.node == node and login.seconds is None]
        if not found:
            return  # it began before anybody watched
        began = event.at - timedelta(seconds=seconds)
        race, login = min(found, key=lambda each: abs(each[1].at - began))
        login.seconds, login.outcome, login.error = (event.at - login.at).total_seconds(), outcome, error
        if connect is None:
            won = outcome in ("in", "lost")  # nobody races against it
            login.outcome = "won" if won else outcome
            self._decide(race, login.seconds, node if won else None, error)

    def _decide(self, race: Race, seconds: float, node: str | None, error: str | None) -> None:
        race.seconds, race.node, race.error = seconds, node, error
        for login in race.logins:
            if login.outcome == "in":
                login.outcome = "won" if login.node == node else "lost"

    def _finished(self, now: datetime) -> Iterator[Race]:
        for race in [race for race in self._single if race.over or now - race.at > OLD]:
            self._single.remove(race)
            yield race
        for number, race in list(self._open.items()):
            if race.over or now - race.at > OLD:
                del self._open[number]
                if race.logins:
                    yield race
        while len(self._open) > MAX_OPEN:
            yield self._open.pop(next(iter(self._open)))
        while len(self._single) > MAX_OPEN:
            yield self._single.pop(0)
