"""The options of the psycopg driver: which exist, and the `Endpoint` and the connection parameters that come of them.

What PostgreSQL's drivers have in common is in `postgres.options`, TLS words are read in `tls`. Rule: every parameter of libpq
that would otherwise fall back to an environment variable gets an explicit value here, but for the password.
"""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg import pq

from ..dsn import Url
from ..errors import ConfigError
from .base import Endpoint
from .options import convert
from .postgres.options import ADDRESS, LOGIN, PLACE, REFUSED, SETTINGS, check, check_login, place_of, show, take_settings
from .tls import TLS_OPTIONS, Tls, TlsMode, take_tls

__all__ = ["SCHEMES", "for_one_connect", "login_parameters", "read_endpoint"]

SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg", "postgres+psycopg"})

_LIBPQ = frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())
_OWN = frozenset(inspect.signature(psycopg.AsyncConnection.connect).parameters) - {"conninfo", "kwargs"}
_EXPLICIT = {
    "application_name": "",
    "channel_binding": "prefer",
    "connect_timeout": "0",
    "gssencmode": "disable",
    "krbsrvname": "postgres",
    "load_balance_hosts": "disable",
    "options": "",
    "requirepeer": "",
    "ssl_max_protocol_version": "",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslcert": "",
    "sslcrl": "",
    "sslcrldir": "",
    "sslkey": "",
    "sslnegotiation": "postgres",
    "sslrootcert": "",
    "target_session_attrs": "any",
}
"""libpq's own defaults, which its environment variables would go over."""
_KINDS: Mapping[str, type] = {"autocommit": bool, "prepare_threshold": int}
_ADDRESS = {**ADDRESS, "conninfo": ADDRESS["dsn"]}
_LISTS = {
    "server_settings": "in a URL write server_settings.name=value",
    **dict.fromkeys(("context", "row_factory", "cursor_factory"), "a URL cannot hold it: use connect_options"),
}
_OPTIONS = ((_LIBPQ | _OWN) - REFUSED.keys() - _ADDRESS.keys()) | TLS_OPTIONS | SETTINGS | {"server_settings"}


def read_endpoint(url: Url, options: Mapping[str, Any], *, shown: str) -> Endpoint:
    """What a node's URL and connect options say; `options` go over the URL's. `shown` is the URL without its secrets."""
    if url.scheme not in SCHEMES:
        raise ConfigError(f"{shown!r}: the scheme {url.scheme!r} is not one of psycopg's: {', '.join(sorted(SCHEMES))}")
    place = place_of(url, shown)
    query = {name: text for name, text in url.options.items() if name not in PLACE}
    check(query, _OPTIONS, REFUSED | _ADDRESS | _LISTS, f"psycopg in {shown!r}")
    check(options, _OPTIONS, REFUSED | _ADDRESS, "psycopg")
    given, over = _typed(query, shown), _typed(options, "connect_options")
    settings = take_settings(given, shown) | take_settings(over, "connect_options")
    tls = _words_only(take_tls(over, shown="connect_options", over=take_tls(given, shown=shown)), shown)
    given |= over
    user, password = check_login(given.pop("user", place.pop("user")), given.pop("password", place.pop("password")), shown)
    host = place["host"] if isinstance(place["host"], str) else ",".join(place["host"])
    login = {"host": host, "port": place["port"], "user": user, "dbname": place["database"] or user}
    return _endpoint(show(place), {**login, **given}, settings, password, tls)


def for_one_connect(endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
    """`endpoint` with the options of one connect over its own; `server_settings` are merged."""
    if not options:
        return endpoint
    check(options, _OPTIONS, REFUSED | _ADDRESS | LOGIN, "psycopg")
    given = _typed(options, "connect()")
    settings = dict(endpoint.arguments.get("server_settings") or {}) | take_settings(given, "connect()")
    tls = _words_only(take_tls(given, shown="connect()", over=endpoint.extra), "connect()")
    return _endpoint(endpoint.address, {**endpoint.arguments, **given}, settings, endpoint.password, tls)


def login_parameters(endpoint: Endpoint) -> dict[str, Any]:
    """The keyword arguments of `AsyncConnection.connect` but for the password. Reads the TLS files, at the first login.

    Raises `ConfigError` for a file that is missing or not what it should be.
    """
    given = dict(endpoint.arguments)
    settings = dict(given.pop("server_settings", {}))
    found = {name: value for name, value in _EXPLICIT.items() if name in _LIBPQ} | _tls_words(endpoint.extra) | given
    if "application_name" in settings:
        found["application_name"] = settings.pop("application_name")
    said = [settings.pop("options", "")] + [f"-c {name}={_escaped(value)}" for name, value in settings.items()]
    found["options"] = " ".join(filter(None, said))
    return found


def _endpoint(address: str, arguments: dict[str, Any], settings: dict[str, str], password: Any, tls: Tls | None) -> Endpoint:
    arguments.pop("server_settings", None)
    if settings:
        arguments["server_settings"] = MappingProxyType(settings)
    # None is "not said", but for prepare_threshold: there it is "never prepare".
    kept = {name: value for name, value in arguments.items() if value is not None or name == "prepare_threshold"}
    return Endpoint(address, MappingProxyType(kept), password, tls)


def _typed(options: Mapping[str, Any], shown: str) -> dict[str, Any]:
    """The options with what text says made a value, and values that psycopg would stumble over refused."""
    typed = {name: value for name, value in options.items() if value is not None or name == "prepare_threshold"}
    for name, kind in _KINDS.items():
        value = typed.get(name)
        if isinstance(value, str):
            value = typed[name] = convert(name, value, kind, shown)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool)):
            what = "true or false" if kind is bool else "a whole number"
            raise ConfigError(f"{shown}: the option {name!r} is {what}, not {value!r}")
    return typed


def _words_only(tls: Tls | None, shown: str) -> Tls | None:
    if tls is not None and tls.context is not None:
        raise ConfigError(
            f"{shown}: psycopg takes no SSLContext, libpq makes its own: give sslmode, sslrootcert, sslcert and sslkey"
        )
    return tls


def _tls_words(tls: Tls | None) -> dict[str, str]:
    if tls is None or tls.mode is TlsMode.DISABLE:
        return {"sslmode": "prefer" if tls is None else "disable"}
    tls.ssl_context()  # libpq would say of a missing file only that something failed
    words = {"sslmode": str(tls.mode)}
    if tls.root_cert is not None and tls.root_cert != "system":
        words["sslrootcert"] = str(Path(tls.root_cert).expanduser())
    elif tls.verifies:
        words["sslrootcert"] = ssl.get_default_verify_paths().cafile or "system"
        if words["sslrootcert"] == "system" and tls.mode is not TlsMode.VERIFY_FULL:
            raise ConfigError("sslmode=verify-ca: this system has no file of trusted authorities; name one as sslrootcert")
    for word, path in {"sslcert": tls.cert, "sslkey": tls.key}.items():
        if path is not None:
            words[word] = str(Path(path).expanduser())
    if tls.key_password is not None:
        words["sslpassword"] = tls.key_password
    return words


def _escaped(value: str) -> str:
    """https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS"""
    return "".join(f"\\{char}" if char.isspace() or char == "\\" else char for char in value)
