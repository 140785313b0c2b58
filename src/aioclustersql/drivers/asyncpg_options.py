"""The options of the asyncpg driver: which exist, where each may stand, and the `Endpoint` that comes of them.

No I/O but for the name of the operating system's user; TLS words are read in `tls`. Rule: every argument of `asyncpg.connect`
that would otherwise fall back to an environment variable gets an explicit value here, but for the password.
"""

from __future__ import annotations

import getpass
import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import asyncpg

from ..dsn import Url
from ..errors import ConfigError
from .base import Endpoint
from .options import check_known, convert
from .tls import TLS_OPTIONS, Tls, take_tls

__all__ = ["SCHEMES", "for_one_connect", "read_endpoint"]

SCHEMES = frozenset({"postgresql", "postgres", "postgresql+asyncpg", "postgres+asyncpg"})

_PARAMETERS = frozenset(inspect.signature(asyncpg.connect).parameters)
_HOSTS = ("/run/postgresql", "/var/run/postgresql", "/tmp", "localhost")  # noqa: S108 - where servers put their sockets
"""Where a URL without a host looks, as asyncpg does; libpq looks into the folder it was built for."""
_EXPLICIT = {"target_session_attrs": "any", "direct_tls": False, "krbsrvname": "postgres", "gsslib": "gssapi"}
_KINDS: Mapping[str, type] = {
    "command_timeout": float,
    "statement_cache_size": int,
    "max_cached_statement_lifetime": int,
    "max_cacheable_statement_size": int,
    "direct_tls": bool,
}
_SETTINGS = frozenset(
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

_PLACE = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database", "database": "database"}
"""Query options that say what another part of the URL can say too, as libpq allows."""
_DEADLINE = "a login's deadline is the cluster's: use connect_timeout of Cluster, or timeout of its connect()"
_REFUSED = {
    "target_session_attrs": "which node is wanted is the cluster's business: use target=",
    "load_balance_hosts": "the cluster orders its nodes by itself",
    "connect_timeout": _DEADLINE,
    "timeout": _DEADLINE,
    "loop": "it belongs to one connect, not to a node",
}
_ADDRESS = dict.fromkeys(
    ("dsn", "host", "hostaddr", "port", "database", "dbname", "service", "servicefile"),
    "the address of a node is in its URL",
)
_LOGIN = dict.fromkeys(("user", "password", "passfile"), "who logs in is the node's: say it in its URL or its connect_options")
_OBJECTS = {
    "server_settings": "in a URL write server_settings.name=value",
    **dict.fromkeys(("connection_class", "record_class"), "a URL cannot hold it: use connect_options"),
}
_OPTIONS = (_PARAMETERS - _REFUSED.keys() - _ADDRESS.keys()) | TLS_OPTIONS | _SETTINGS
if "direct_tls" in _PARAMETERS:
    _OPTIONS |= {"sslnegotiation"}


def read_endpoint(url: Url, options: Mapping[str, Any], *, shown: str) -> Endpoint:
    """What a node's URL and connect options say; `options` go over the URL's. `shown` is the URL without its secrets."""
    if url.scheme not in SCHEMES:
        raise ConfigError(f"{shown!r}: the scheme {url.scheme!r} is not one of asyncpg's: {', '.join(sorted(SCHEMES))}")
    place = _place(url, shown)
    query = {name: text for name, text in url.options.items() if name not in _PLACE}
    _check(query, f"asyncpg in {shown!r}", _REFUSED | _ADDRESS | _OBJECTS)
    _check(options, "asyncpg", _REFUSED | _ADDRESS)
    given = _typed(query, shown)
    settings = _take_settings(given, shown)
    over = _typed(options, "connect_options")
    settings |= _take_settings(over, "connect_options")
    tls = take_tls(over, shown="connect_options", over=take_tls(given, shown=shown))
    given |= over
    password, user = given.pop("password", place.pop("password")), given.pop("user", place.pop("user"))
    if not (password is None or isinstance(password, str) or callable(password)):
        raise ConfigError(f"{shown}: password is a string, a function or an async function, not {type(password).__name__}")
    if not isinstance(user, str | None):
        raise ConfigError(f"{shown}: user is a string, not {type(user).__name__}")
    place["user"] = user or _system_user(shown)
    place["database"] = place["database"] or place["user"]
    arguments = {name: value for name, value in _EXPLICIT.items() if name in _PARAMETERS} | place
    return _endpoint(_show(place), arguments | given, settings, password, tls, shown)


def for_one_connect(endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
    """`endpoint` with the options of one connect over its own; `server_settings` are merged."""
    if not options:
        return endpoint
    _check(options, "asyncpg", _REFUSED | _ADDRESS | _LOGIN)
    given = _typed(options, "connect()")
    settings = dict(endpoint.arguments.get("server_settings") or {}) | _take_settings(given, "connect()")
    tls = take_tls(given, shown="connect()", over=endpoint.extra)
    return _endpoint(endpoint.address, {**endpoint.arguments, **given}, settings, endpoint.password, tls, "connect()")


def _endpoint(
    address: str, arguments: dict[str, Any], settings: dict[str, str], password: Any, tls: Tls | None, shown: str
) -> Endpoint:
    arguments.pop("server_settings", None)
    if settings:
        arguments["server_settings"] = MappingProxyType(settings)
    # None is "not said": asyncpg's default. What has an explicit value of ours keeps it.
    arguments = {name: value for name, value in arguments.items() if value is not None}
    for name, value in _EXPLICIT.items():
        if name in _PARAMETERS:
            arguments.setdefault(name, value)
    if arguments.get("direct_tls") and not (tls is not None and tls.required):
        raise ConfigError(f"{shown}: direct_tls needs sslmode=require, verify-ca or verify-full, or ssl=SSLContext")
    return Endpoint(address, MappingProxyType(arguments), password, tls)


def _check(options: Mapping[str, Any], where: str, refused: Mapping[str, str]) -> None:
    said = [name for name, value in options.items() if value is not None]
    for name in said:
        if name in refused:
            raise ConfigError(f"the option {name!r} is refused for {where}: {refused[name]}")
    names = [name for name in said if name.lower() not in _SETTINGS and not name.startswith("server_settings.")]
    check_known(names, _OPTIONS - refused.keys(), where)


def _typed(options: Mapping[str, Any], shown: str) -> dict[str, Any]:
    """The options with what text says made a value, and values that asyncpg would refuse at every login refused here."""
    typed = {name: value for name, value in options.items() if value is not None or name in _KINDS}
    for name, kind in _KINDS.items():
        value = typed.get(name)
        if isinstance(value, str):
            value = typed[name] = convert(name, value, kind, shown)
        if value is not None and not _fits(value, kind):
            what = {bool: "true or false", int: "a whole number, 0 or more", float: "a number of seconds above 0"}[kind]
            raise ConfigError(f"{shown}: the option {name!r} is {what}, not {value!r}")
    negotiation = typed.pop("sslnegotiation", None)
    if negotiation is not None:
        if negotiation not in ("direct", "postgres"):
            raise ConfigError(f"{shown}: sslnegotiation is direct or postgres, not {negotiation!r}")
        if typed.get("direct_tls") is not None:
            raise ConfigError(f"{shown}: 'sslnegotiation' and 'direct_tls' say the same thing; keep one")
        typed["direct_tls"] = negotiation == "direct"
    return typed


def _fits(value: Any, kind: type) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and value >= 0
    return isinstance(value, int | float) and value > 0


def _take_settings(options: dict[str, Any], shown: str) -> dict[str, str]:
    """Every server setting out of `options`, by its name in lower case (the server does not tell cases apart)."""
    whole = options.pop("server_settings", None)
    if not isinstance(whole, Mapping | None):
        raise ConfigError(f"{shown}: server_settings maps names to values, it is not {type(whole).__name__}")
    found = dict(whole or {})
    for name in list(options):
        if name.lower() in _SETTINGS or name.startswith("server_settings."):
            found[name.removeprefix("server_settings.")] = options.pop(name)
    settings: dict[str, str] = {}
    for name, value in found.items():
        if not isinstance(name, str) or not name or name.lower() in ("user", "database"):
            raise ConfigError(f"{shown}: {name!r} is no server setting")
        if not isinstance(value, str | int | float):
            raise ConfigError(f"{shown}: the server setting {name!r} is text, not {type(value).__name__}")
        settings[name.lower()] = ("on" if value else "off") if isinstance(value, bool) else str(value)
    return settings


def _place(url: Url, shown: str) -> dict[str, Any]:
    """Host, port, user, password and database, from the URL's parts or from its query; twice is an error."""
    place: dict[str, Any] = {
        "host": url.host or None,
        "port": url.port,
        "user": url.user,
        "password": url.password,
        "database": url.database,
    }
    for option, part in _PLACE.items():
        if not (text := url.options.get(option)):
            continue
        if place[part] is not None:
            raise ConfigError(f"{shown!r}: the {part} is given twice, the second time as the option {option!r}")
        place[part] = convert(option, text, int, shown) if part == "port" else text
    if "," in (place["host"] or ""):
        raise ConfigError(f"{shown!r} names several hosts; one node has one")
    if not 0 < (place["port"] or 5432) < 65536:
        raise ConfigError(f"{shown!r}: the port {place['port']} is not a number from 1 to 65535")
    place["host"] = place["host"] or _HOSTS
    place["port"] = place["port"] or 5432
    return place


def _show(place: Mapping[str, Any]) -> str:
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
