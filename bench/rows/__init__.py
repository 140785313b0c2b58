"""The rows of the benchmark, in the order in which they run: each a module with one `measure`, found by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from bench.context import Context
from bench.result import Outcome

__all__ = ["ROWS", "measure_of"]

ROWS: Mapping[str, str] = {
    "connect": "one connect over 1, 3, 10 and 30 nodes, and many at once",
    "first": "the first usable connection when the first host refuses, is silent or black-holed",
    "tail": "the tail of connect with a slow node, and with 1 % of connections stalled",
    "pool": "acquire and release, and SELECT 1 by twenty tasks",
    "spike": "fifty requests at once on a pool of five connections",
    "waiters": "10 to 10,000 callers that wait for ten connections",
    "nodes": "what choosing among 1 to 100 nodes costs",
    "monitor": "what the monitor costs an open cluster that nobody uses",
    "weight": "memory and CPU of an idle and of a leased connection",
    "imports": "time and memory of an import",
}
"""Name -> what is measured."""


def measure_of(name: str) -> Callable[[Context], Outcome]:
    """What measures that row. It is imported only now, because a row needs its peers installed, and `--list` does not."""
    module: Any = import_module(f"bench.rows.{name}")
    measure: Callable[[Context], Outcome] = module.measure
    return measure
