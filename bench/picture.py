"""Draws cost over the number of nodes: time, CPU and logins of each way, a column per driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["draw"]

_PANELS = (("p50_ms", "until usable, ms (median)"), ("cpu_ms", "client CPU, ms (median)"), ("logins", "logins on the servers"))
_STYLES = {
    "raw": {"color": "0.35", "linestyle": "--", "marker": "s"},
    "warm": {"color": "tab:green", "marker": "o"},
    "stagger=0": {"color": "tab:orange", "marker": "^"},
    "naive": {"color": "tab:red", "marker": "v"},
}


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> bool:
    """Write the picture; False where matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator

    drivers = list(dict.fromkeys(row["driver"] for row in rows))
    nodes = sorted({row["nodes"] for row in rows})
    size = (4.2 * len(drivers) + 1, 3.0 * len(_PANELS))
    figure, axes = plt.subplots(len(_PANELS), len(drivers), figsize=size, squeeze=False, layout="constrained")
    for column, driver in enumerate(drivers):
        for line, (key, label) in enumerate(_PANELS):
            axis: Any = axes[line][column]
            for way, style in _STYLES.items():
                found = [row for row in rows if row["driver"] == driver and row["way"] == way]
                axis.plot([row["nodes"] for row in found], [row[key] for row in found], label=way, **style)
            axis.set(xscale="log", yscale="log", xlabel="nodes", ylabel=label if column == 0 else "")
            axis.set_xticks(nodes, [str(each) for each in nodes])
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.minorticks_off()
            axis.grid(alpha=0.3)
            if line == 0:
                axis.set_title(driver)
    axes[0][0].legend()
    figure.suptitle("What a connect costs")
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return True
