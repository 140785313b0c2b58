"""The options that PostgreSQL's drivers have in common: server settings, the place of a server, what is refused and why.

No I/O but for the name of the operating system's user. Rule: an error names the option and where it stood.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Any

from ...dsn import Url
from ...errors import ConfigError
from ..base import Password
from ..options import check_known, convert

__all__ = [
    "ADDRESS",
    "HOSTS",
    "LOGIN",
    "PLACE",
    "REFUSED",
    "SETTINGS",
    "check",
    "check_login",
    "place_of",
    "show",
    "take_settings",
]

HOSTS = ("/run/postgresql", "/var/run/postgresql", "/tmp", "localhost")  # noqa: S108 - where servers put their sockets
"""Where a URL without a host looks; libpq looks into the folder it was built for."""
SETTINGS = frozenset(
    {
        "application_name",
        "client_min_messages",
        "datestyle",
        "default_transaction_deferrable",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "extra_float_digits",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "intervalstyle",
        "jit",
        "lock_timeout",
        "options",
        "plan_cache_mode",
        "role",
        "search_path",
        "statement_timeout",
        "synchronous_commit",
        "timezone",
        "transaction_timeout",
        "work_mem",
    }
)
"""Server settings that may be named without `server_settings.` before them; `options` is libpq's (`-c name=value`)."""

PLACE = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database", "database": "database"}
"""Query options that say what another part of the URL can say too, as libpq allows."""
_DEADLINE = "a login's deadline is the cluster's: use connect_timeout of Cluster, or timeout of its connect()"
REFUSED = {
    "target_session_attrs": "which node is wanted is the cluster's business: use target=",
    "load_balance_hosts": "the cluster orders its nodes by itself",
    "connect_timeout": _DEADLINE,
    "timeout": _DEADLINE,
    "loop": "it belongs to one connect, not to a node",
}
ADDRESS = dict.fromkeys(
    ("dsn", "host", "hostaddr", "port", "database", "dbname", "service", "servicefile"),
    "the address of a node is in its URL",
)
LOGIN = dict.fromkeys(("user", "password", "passfile"), "who logs in is the node's: say it in its URL or its connect_options")


def check(options: Mapping[str, Any], known: frozenset[str], refused: Mapping[str, str], where: str) -> None:
    """Raise `ConfigError` for an option that is refused or unknown; None is "not said"."""
    said = [name for name, value in options.items() if value is not None]
    for name in said:
        if name in refused:
            raise ConfigError(f"the option {name!r} is refused for {where}: {refused[name]}")
    names = [name for name in said if name.lower() not in SETTINGS and not name.startswith("server_settings.")]
    check_known(names, known - refused.keys(), where)


def check_login(user: Any, password: Any, shown: str) -> tuple[str, Password]:
    """Who logs in; without a user, the operating system's."""
    if not (password is None or isinstance(password, str) or callable(password)):
        raise ConfigError(f"{shown}: password is a string, a function or an async function, not {type(password).__name__}")
    if not isinstance(user, str | None):
        raise ConfigError(f"{shown}: user is a string, not {type(user).__name__}")
    return user or _system_user(shown), password


def take_settings(options: dict[str, Any], shown: str) -> dict[str, str]:
    """Every server setting out of `options`, by its name in lower case (the server does not tell cases apart)."""
    whole = options.pop("server_settings", None)
    if not isinstance(whole, Mapping | None):
        raise ConfigError(f"{shown}: server_settings maps names to values, it is not {type(whole).__name__}")
    found = dict(whole or {})
    for name in list(options):
        if name.lower() in SETTINGS or name.startswith("server_settings."):
            found[name.removeprefix("server_settings.")] = options.pop(name)
    settings: dict[str, str] = {}
    for name, value in found.items():
        if not isinstance(name, str) or not name or name.lower() in ("user", "database"):
            raise ConfigError(f"{shown}: {name!r} is no server setting")
        if not isinstance(value, str | int | float):
            raise ConfigError(f"{shown}: the server setting {name!r} is text, not {type(value).__name__}")
        settings[name.lower()] = ("on" if value else "off") if isinstance(value, bool) else str(value)
    return settings


def place_of(url: Url, shown: str) -> dict[str, Any]:
    """Host, port, user, password and database, from the URL's parts or from its query; twice is an error."""
    place: dict[str, Any] = {
        "host": url.host or None,
        "port": url.port,
        "user": url.user,
        "password": url.password,
        "database": url.database,
    }
    for option, part in PLACE.items():
        if not (text := url.options.get(option)):
            continue
        if place[part] is not None:
            raise ConfigError(f"{shown!r}: the {part} is given twice, the second time as the option {option!r}")
        place[part] = convert(option, text, int, shown) if part == "port" else text
    if "," in (place["host"] or ""):
        raise ConfigError(f"{shown!r} names several hosts; one node has one")
    if not 0 < (place["port"] or 5432) < 65536:
        raise ConfigError(f"{shown!r}: the port {place['port']} is not a number from 1 to 65535")
    place["host"] = place["host"] or HOSTS
    place["port"] = place["port"] or 5432
    return place


def show(place: Mapping[str, Any]) -> str:
    host, port = place["host"], place["port"]
    if not isinstance(host, str):
        host = host[-1]
    if host.startswith("/"):
        return host if ".s.PGSQL." in host else f"{host.rstrip('/')}/.s.PGSQL.{port}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _system_user(shown: str) -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        raise ConfigError(f"{shown!r} names no user, and the operating system has no name for this one") from None
