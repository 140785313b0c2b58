"""The options of the asyncpg driver: which exist, where each may stand, and the `Endpoint` that comes of them.

What PostgreSQL's drivers have in common is in `postgres.options`, TLS words are read in `tls`. Rule: every argument of
`asyncpg.connect` that would otherwise fall back to an environment variable gets an explicit value here, but for the password.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import asyncpg

from ..dsn import Url
from ..errors import ConfigError
from .base import Endpoint
from .options import convert
from .postgres.options import ADDRESS, LOGIN, PLACE, REFUSED, SETTINGS, check, check_login, place_of, show, take_settings
from .tls import TLS_OPTIONS, Tls, take_tls

__all__ = ["SCHEMES", "for_one_connect", "read_endpoint"]

SCHEMES = frozenset({"postgresql", "postgres", "postgresql+asyncpg", "postgres+asyncpg"})

_PARAMETERS = frozenset(inspect.signature(asyncpg.connect).parameters)
_EXPLICIT = {"target_session_attrs": "any", "direct_tls": False, "krbsrvname": "postgres", "gsslib": "gssapi"}
_KINDS: Mapping[str, type] = {
    "command_timeout": float,
    "statement_cache_size": int,
    "max_cached_statement_lifetime": int,
    "max_cacheable_statement_size": int,
    "direct_tls": bool,
}
_OBJECTS = {
    "server_settings": "in a URL write server_settings.name=value",
    **dict.fromkeys(("connection_class", "record_class"), "a URL cannot hold it: use connect_options"),
}
_OPTIONS = (_PARAMETERS - REFUSED.keys() - ADDRESS.keys()) | TLS_OPTIONS | SETTINGS
if "direct_tls" in _PARAMETERS:
    _OPTIONS |= {"sslnegotiation"}


def read_endpoint(url: Url, options: Mapping[str, Any], *, shown: str) -> Endpoint:
    """What a node's URL and connect options say; `options` go over the URL's. `shown` is the URL without its secrets."""
    if url.scheme not in SCHEMES:
        raise ConfigError(f"{shown!r}: the scheme {url.scheme!r} is not one of asyncpg's: {', '.join(sorted(SCHEMES))}")
    place = place_of(url, shown)
    query = {name: text for name, text in url.options.items() if name not in PLACE}
    check(query, _OPTIONS, REFUSED | ADDRESS | _OBJECTS, f"asyncpg in {shown!r}")
    check(options, _OPTIONS, REFUSED | ADDRESS, "asyncpg")
    given = _typed(query, shown)
    settings = take_settings(given, shown)
    over = _typed(options, "connect_options")
    settings |= take_settings(over, "connect_options")
    tls = take_tls(over, shown="connect_options", over=take_tls(given, shown=shown))
    given |= over
    password, user = given.pop("password", place.pop("password")), given.pop("user", place.pop("user"))
    place["user"], password = check_login(user, password, shown)
    place["database"] = place["database"] or place["user"]
    arguments = {name: value for name, value in _EXPLICIT.items() if name in _PARAMETERS} | place
    return _endpoint(show(place), arguments | given, settings, password, tls, shown)


def for_one_connect(endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
    """`endpoint` with the options of one connect over its own; `server_settings` are merged."""
    if not options:
        return endpoint
    check(options, _OPTIONS, REFUSED | ADDRESS | LOGIN, "asyncpg")
    given = _typed(options, "connect()")
    settings = dict(endpoint.arguments.get("server_settings") or {}) | take_settings(given, "connect()")
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
