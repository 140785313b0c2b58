"""What a row of the benchmark comes to: tables, wanted figures beside measured ones, remarks, and curves for the pictures.

Rule: all of it is plain data that JSON holds and gives back unchanged, because the page of the docs is made from the JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Cell", "Curve", "Outcome", "Report", "Table", "Target", "at_least", "at_most", "remarks"]

Cell = str | int | float | None
_AS_GOOD = 1.05
"""So much worse than a peer is within what two runs differ by."""


@dataclass(frozen=True)
class Table:
    """A table; the columns that `texts` names hold words, all others figures."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Target:
    """What the project promises, and what was measured. Shown, never asserted: a busy machine is no defect."""

    what: str
    wanted: str
    got: str
    met: bool

    @property
    def verdict(self) -> str:
        """In words."""
        return "met" if self.met else "NOT MET"


def at_most(what: str, got: float, limit: float, unit: str = "") -> Target:
    """Met while `got` is not above the limit."""
    return Target(what, f"≤ {_figure(limit)}{unit}", f"{_figure(got)}{unit}", got <= limit)


def at_least(what: str, got: float, limit: float, unit: str = "") -> Target:
    """Met while `got` is not below the limit."""
    return Target(what, f"≥ {_figure(limit)}{unit}", f"{_figure(got)}{unit}", got >= limit)


def remarks(what: str, ours: float, peers: Mapping[str, float], reasons: Mapping[str, str], *, more: bool = False) -> list[str]:
    """A sentence for each peer whose figure is better than ours, with the reason.

    Smaller is better, with `more` larger; within 5 % counts as equal. A peer that `reasons` does not know is still told of.
    """
    found = []
    for peer, figure in peers.items():
        worse = _times(figure, ours) if more else _times(ours, figure)
        if worse > _AS_GOOD:
            reason = reasons.get(peer) or reasons.get("") or "the reason is not known"
            found.append(f"{what}: {worse:.2f} times worse than {peer}, because {reason}.")
    return found


@dataclass(frozen=True)
class Curve:
    """A line of a picture: `panel` tells which part of which picture, `label` whose line; points are (x, y)."""

    panel: str
    label: str
    points: Sequence[Sequence[float]]


@dataclass
class Outcome:
    """One row, done or failed."""

    name: str
    title: str
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    seconds: float = 0.0
    failure: str | None = None
    """Why there are no figures, or not all."""


@dataclass(frozen=True)
class Report:
    """A run: where and with what it was measured, and every row."""

    facts: Mapping[str, Any]
    outcomes: Sequence[Outcome]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"facts": dict(self.facts), "rows": [asdict(outcome) for outcome in self.outcomes]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """What `as_dict` gave. Raises `TypeError` or `KeyError` for anything else."""
        return cls(data["facts"], [_outcome(each) for each in data["rows"]])

    @property
    def failed(self) -> list[str]:
        """The names of the rows that failed."""
        return [outcome.name for outcome in self.outcomes if outcome.failure is not None]

    def curves(self, panel: str) -> list[Curve]:
        """Every line of that panel."""
        return [curve for outcome in self.outcomes for curve in outcome.curves if curve.panel == panel]


def _outcome(data: Mapping[str, Any]) -> Outcome:
    parts: Iterable[tuple[str, Any]] = (("tables", Table), ("targets", Target), ("curves", Curve))
    made = {name: [kind(**each) for each in data[name]] for name, kind in parts}
    return Outcome(**{**data, **made})


def _times(larger: float, smaller: float) -> float:
    return larger / smaller if smaller > 0 else 1.0


def _figure(value: float) -> str:
    return (
        f"{value:g}" if isinstance(value, int) or value == round(value, 2) else f"{value:.3g}" if value < 100 else f"{value:.0f}"
    )
