"""Draws the curves of a report: cost over nodes and waiters, and the distribution of connect's latency.

Rule: what is drawn is in the report, so that the pictures of the docs are made again from the committed figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.result import Curve, Report

__all__ = ["PICTURES", "draw"]

PICTURES: Mapping[str, tuple[str, str]] = {
    "connect": ("nodes.png", "What a connect costs over the number of nodes"),
    "tail": ("latency.png", "Connect with 1 % of new connections stalled for 50 ms to 3 s: how many take longer than so many ms"),
    "waiters": ("waiters.png", "What a request costs over the number of waiters"),
    "nodes": ("choosing.png", "What choosing costs over the number of nodes"),
}
"""By row: the picture's file, and what it shows."""

_PANELS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "connect": [
        (f"nodes/{driver}/{panel}", "nodes", f"{driver}: {label}")
        for panel, label in (("ms", "ms until usable"), ("cpu", "client CPU, ms"), ("logins", "logins on the servers"))
        for driver in ("aiomysql", "asyncpg")
    ],
    "tail": [(f"stalls/{driver}", "ms", f"{driver}: part of connects above") for driver in ("aiomysql", "asyncpg")],
    "waiters": [(f"waiters/{driver}", "callers", f"{driver}: µs each") for driver in ("aiomysql", "asyncpg")],
    "nodes": [("choosing/lease", "nodes", "lease: CPU, µs"), ("choosing/connect", "nodes", "connect, fake driver: CPU, µs")],
}
"""By row: each panel's name, what lies along it, and what is drawn."""

_OURS = {"warm": "tab:green", "aioclustersql": "tab:green", "stagger=0": "tab:olive"}
_OTHERS = ("tab:blue", "tab:red", "tab:orange", "tab:purple", "tab:brown", "0.4", "tab:cyan", "tab:pink")


def draw(report: Report, folder: Path) -> list[Path]:
    """Write the pictures that there are curves for, and return their paths; none where matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    written = []
    for row, (name, title) in PICTURES.items():
        panels = [(report.curves(panel), along, label) for panel, along, label in _PANELS[row] if report.curves(panel)]
        if not panels:
            continue
        columns = min(2, len(panels))
        lines = -(-len(panels) // columns)
        figure, axes = plt.subplots(lines, columns, figsize=(5.2 * columns, 3.4 * lines), squeeze=False, layout="constrained")
        for number, (curves, along, label) in enumerate(panels):
            _panel(axes[number // columns][number % columns], curves, along, label)
        figure.suptitle(title)
        figure.savefig(folder / name, dpi=80)
        plt.close(figure)
        written.append(folder / name)
    return written


def _panel(axis: Any, curves: Sequence[Curve], along: str, label: str) -> None:
    for number, curve in enumerate(curves):
        ours = next((colour for start, colour in _OURS.items() if curve.label.startswith(start)), None)
        style = {"color": ours or _OTHERS[number % len(_OTHERS)], "linewidth": 2.2 if ours else 1.2, "zorder": 3 if ours else 2}
        tail = along == "ms"
        marker = {"drawstyle": "steps-post"} if tail else {"marker": "o", "markersize": 3}
        axis.plot(*zip(*curve.points, strict=True), label=curve.label, **style, **marker)
    axis.set(xscale="log", yscale="log", xlabel=along)
    axis.set_title(label, fontsize=10)
    if along == "nodes":
        ticks = sorted({round(point[0]) for curve in curves for point in curve.points})
        axis.set_xticks(ticks, [str(each) for each in ticks])
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
