"""What a PostgreSQL server says of itself and of the settings that will hurt. Asks; judges nothing. Any role may ask this."""

from __future__ import annotations

from typing import cast

from .facts import ServerFacts
from .session import Session

__all__ = ["ask"]

_SETTINGS = ["server_version", "idle_session_timeout"]  # the second from 14 on, in milliseconds
_TLS = "SELECT version FROM pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()"


async def ask(db: Session) -> ServerFacts:
    """Ask everything but the clock."""
    found = await db.rows("SELECT name, setting FROM pg_settings WHERE name = ANY(?)", _SETTINGS)
    settings = dict(cast("list[tuple[str, str]]", found))
    idle = int(settings.get("idle_session_timeout", 0)) / 1000
    tls = await db.rows(_TLS)
    follows = await db.follows()
    return ServerFacts(
        version=settings["server_version"],
        tls=str(tls[0][0]) if tls else None,
        takes_writes=not follows,
        follows=follows,
        max_connections=await db.max_connections(),
        idle_timeout=("idle_session_timeout", idle) if idle else None,
    )
