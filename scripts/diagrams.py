"""The diagram of a node's breaker, drawn as SVG from the very table that it works by.

Where the states stand is chosen here; which arrows there are, and what they say, is `policy.health.TABLE`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from aioclustersql.node import Health
from aioclustersql.policy.health import SOFT_LIMIT, TABLE, Signal

__all__ = ["breaker"]

_PLACES = {Health.UP: (110, 60), Health.SUSPECT: (610, 60), Health.DOWN: (610, 260), Health.HALF_OPEN: (110, 260)}
_HALF_WIDTH, _HALF_HEIGHT = 60, 24
_APART = 11
"""How far the two arrows between the same states are moved to either side."""
_WORDS = {
    Signal.SUCCESS: "success",
    Signal.HARD_FAILURE: "hard failure",
    Signal.SOFT_FAILURE: "soft failure",
    Signal.LIMIT: f"soft failure no. {SOFT_LIMIT}",
    Signal.PROBE: "open time over",
}
_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 320" role="img" aria-label="The states of a node's breaker">
<style>
  text { font: 13px sans-serif; text-anchor: middle; fill: #333; paint-order: stroke; stroke: #fff; stroke-width: 4px }
  .state { font-weight: bold; font-size: 15px; stroke: none }
  rect { fill: #eef3f8; stroke: #456; stroke-width: 1.5 }
  line { stroke: #456; stroke-width: 1.5; marker-end: url(#head) }
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
  <path d="M0 0L8 4L0 8z" fill="#456"/></marker></defs>
<rect x="0" y="0" width="720" height="320" style="fill:#fff;stroke:none"/>
"""


def breaker() -> str:
    """The picture, for docs/explanation/breaker.svg. A signal that leaves the state as it is has no arrow."""
    arrows: dict[tuple[Health, Health], list[str]] = {}
    for (before, signal), after in TABLE.items():
        if before is not after:
            arrows.setdefault((before, after), []).append(_WORDS[signal])
    lines = [*(_arrow(before, after, words) for (before, after), words in arrows.items()), *map(_state, _PLACES)]
    return _HEAD + "\n".join(lines) + "\n</svg>\n"


def _state(state: Health) -> str:
    x, y = _PLACES[state]
    box = f'<rect x="{x - _HALF_WIDTH}" y="{y - _HALF_HEIGHT}" width="{2 * _HALF_WIDTH}" height="{2 * _HALF_HEIGHT}" rx="8"/>'
    return f'{box}<text class="state" x="{x}" y="{y + 5}">{state}</text>'


def _arrow(before: Health, after: Health, words: Iterable[str]) -> str:
    (x1, y1), (x2, y2) = _PLACES[before], _PLACES[after]
    length = math.hypot(x2 - x1, y2 - y1)
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    # to the right of the way there, so that the way back has a line of its own
    x1, x2, y1, y2 = (round(value) for value in (x1 - dy * _APART, x2 - dy * _APART, y1 + dx * _APART, y2 + dx * _APART))
    start, end = _border(dx, dy), _border(dx, dy) + 2
    line = f'<line x1="{x1 + dx * start:.0f}" y1="{y1 + dy * start:.0f}" x2="{x2 - dx * end:.0f}" y2="{y2 - dy * end:.0f}"/>'
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    aside = 12 + 60 * abs(dx * dy)  # a slanting line needs more room for its words
    return f'{line}<text x="{x - dy * aside:.0f}" y="{y + dx * aside + 4:.0f}">{", ".join(words)}</text>'


def _border(dx: float, dy: float) -> float:
    """How far the border of a state is from its middle, in a direction."""
    across = _HALF_WIDTH / abs(dx) if dx else math.inf
    down = _HALF_HEIGHT / abs(dy) if dy else math.inf
    return min(across, down)
