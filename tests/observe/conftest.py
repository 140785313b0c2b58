"""Clusters to look at: as the tests of the runtime make them."""

from __future__ import annotations

from tests.runtime.conftest import closing, pooling, racing

__all__ = ["closing", "pooling", "racing"]
