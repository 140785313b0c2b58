"""What a MariaDB or MySQL server says of itself and of the settings that will hurt. Asks; judges nothing.

Rule: no question needs a privilege or a table, so that a node outside of its cluster's primary component answers too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .facts import ServerFacts
from .session import Session

__all__ = ["ask", "evs_timeouts"]

_VARIABLES = (
    "max_connect_errors",
    "max_connections",
    "skip_name_resolve",
    "version",
    "wait_timeout",
    "wsrep_on",
    "wsrep_provider_options",
)
_STATUS = ("wsrep_cluster_size", "wsrep_cluster_state_uuid", "ssl_version")
_DURATION = re.compile(r"P(?:(?P<days>[\d.]+)D)?(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?(?:(?P<seconds>[\d.]+)S)?)?")
_UNITS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


async def ask(db: Session) -> ServerFacts:
    """Ask everything but the clock."""
    settings = await _named(db, "VARIABLES", _VARIABLES)
    status = await _named(db, "STATUS", _STATUS)
    galera = settings.get("wsrep_on") == "ON"
    size = status.get("wsrep_cluster_size", "")
    return ServerFacts(
        version=settings["version"],
        tls=status.get("ssl_version") or None,
        takes_writes=await db.takes_writes(),
        follows=False if galera else await db.follows(),
        max_connections=int(settings["max_connections"]),
        max_connect_errors=None if settings.get("skip_name_resolve") == "ON" else int(settings["max_connect_errors"]),
        idle_timeout=("wait_timeout", float(settings["wait_timeout"])),
        evs=evs_timeouts(settings.get("wsrep_provider_options", "")) if galera else {},
        cluster_id=(status.get("wsrep_cluster_state_uuid") or None) if galera else None,
        cluster_size=int(size) if galera and size.isdigit() else None,
    )


def evs_timeouts(options: str) -> Mapping[str, float]:
    """The time-outs of wsrep_provider_options in seconds, by their names without `evs.`; they are ISO 8601 durations: PT5S."""
    found: dict[str, float] = {}
    for option in options.split(";"):
        name, _, value = (part.strip() for part in option.partition("="))
        period = _DURATION.fullmatch(value)
        if name.startswith("evs.") and period is not None and any(period.groups()):
            found[name.removeprefix("evs.")] = sum(_UNITS[unit] * float(count) for unit, count in period.groupdict("0").items())
    return found


async def _named(db: Session, kind: str, names: tuple[str, ...]) -> dict[str, str]:
    listed = ", ".join(f"'{name}'" for name in names)
    scope = "GLOBAL" if kind == "VARIABLES" else "SESSION"  # ssl_version is the connection's own
    return {
        str(name).lower(): str(value) for name, value in await db.rows(f"SHOW {scope} {kind} WHERE variable_name IN ({listed})")
    }
