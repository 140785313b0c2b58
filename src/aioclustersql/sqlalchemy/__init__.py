"""SQLAlchemy's asyncio engines and sessions on a cluster (the extra `sqlalchemy`).

What users import; the engine is made in `engine`, its pool is kept in `seats`, units of work are run in `work`.
"""

try:
    import sqlalchemy.ext.asyncio  # noqa: F401 - that it is there
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(
        f"aioclustersql.sqlalchemy needs the package {exc.name!r}: pip install 'aioclustersql[sqlalchemy]'", name=exc.name
    ) from exc

from .engine import create_async_engine
from .work import node_of, run

__all__ = ["create_async_engine", "node_of", "run"]
