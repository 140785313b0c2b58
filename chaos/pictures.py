"""Draws a failover's timeline: how many writes each library got done, in strips one above the other. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos.clients import OURS
from chaos.result import STEP

__all__ = ["draw"]

_OURS, _THEIRS = "tab:green", "0.45"


def draw(scene: str, clients: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the picture of one scene as SVG, the same bytes for the same figures. Raises `RuntimeError` without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise RuntimeError("pictures need matplotlib: pip install --group bench") from error
    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "aioclustersql", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt

    rows = {name: row["timeline"] for name, row in clients.items() if "timeline" in row}
    figure, axes = plt.subplots(len(rows), 1, figsize=(9, 0.62 * len(rows) + 1), sharex=True, squeeze=False, layout="constrained")
    top = max(max(row["writes"]) for row in rows.values()) or 1
    for (name, row), (axis,) in zip(rows.items(), axes, strict=True):
        moments = [(place * STEP) - row["before"] for place in range(len(row["writes"]))]
        axis.fill_between(moments, row["writes"], step="post", color=_OURS if name in OURS else _THEIRS, linewidth=0)
        axis.axvline(0.0, color="tab:red", linewidth=1)
        promoted = clients[name]["promoted"]
        if promoted is not None:
            axis.axvline(promoted, color="tab:blue", linewidth=1)
        axis.set(ylim=(0, top), yticks=[])
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        axis.spines[["top", "right", "left"]].set_visible(False)
    legend = "red: the fault" + ("" if next(iter(clients.values()))["promoted"] is None else ", blue: the promotion")
    axes[-1][0].set_xlabel(f"seconds ({legend})")
    figure.suptitle(f"Writes done, every {STEP * 1000:.0f} ms: {scene}", fontsize=10)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
