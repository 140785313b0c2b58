"""Where and with what a run was measured."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from bench.context import Context

__all__ = ["facts"]

_PACKAGES = ("aiomysql", "asyncpg", "hasql", "mysql-connector-python", "psycopg", "psycopg-pool", "sqlalchemy")


def facts(context: Context) -> dict[str, Any]:
    """For the head of a report. Nothing that names the machine."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "quick": context.quick,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "packages": {package: version(package) for package in _PACKAGES},
        "behind": context.facts(),
    }
