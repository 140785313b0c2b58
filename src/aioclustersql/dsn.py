"""URLs of nodes, taken apart without meaning: what an option means is each driver's business.

No message or repr made here shows a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, unquote

from .errors import ConfigError

__all__ = ["Url", "parse_url", "redact", "split_hosts"]

_GO_DSN = re.compile(r"^(?:(?P<user>[^:@/]*)(?::(?P<password>.*))?@)?(?P<net>\w+)\((?P<address>[^)]*)\)/(?P<database>[^?]*)")
_URL = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<rest>.*)$", re.DOTALL)
_HOST_PORT = re.compile(r"^(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[^:]*))?$")


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a node's URL, percent-decoded. `host` is empty for a driver's default."""

    scheme: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    host: str = ""
    port: int | None = None
    database: str | None = None
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)


def redact(dsn: str) -> str:
    """`dsn` without its password: also when it is malformed, and then rather too much is hidden than too little."""
    scheme, separator, rest = dsn.partition("://") if "@" not in dsn.partition("://")[0] else ("", "", dsn)
    before, at, after = rest.rpartition("@")
    if at:
        user, colon, _ = before.partition(":")
        rest = f"{user}{':***' if colon else ''}@{after}"
    else:
        rest = re.sub(r"^([^:/?#\[]*):(?!\d{1,5}(?:[/?#,]|$))[^/?#]*", r"\1:***", rest)
    rest = re.sub(r"((?:password|passwd|sslpassword)=)[^&]*", r"\1***", rest, flags=re.IGNORECASE)
    return scheme + separator + rest


def _split(dsn: str) -> tuple[str, str, str, str]:
    """(scheme, user information with its `@`, hosts, everything from the path on)."""
    if not isinstance(dsn, str):
        raise ConfigError(f"a node's address is a URL string, not {type(dsn).__name__}")
    if go := _GO_DSN.match(dsn):
        raise ConfigError(f"{redact(dsn)!r} is a DSN of the Go driver; write it as a URL: {_from_go(go)!r}")
    if not (url := _URL.match(dsn)):
        raise ConfigError(f"{redact(dsn)!r} is not a URL; write scheme://user:password@host:port/database")
    authority, slash, path = re.match(r"^([^/?#]*)([/?#]?)(.*)$", url["rest"], re.DOTALL).groups()  # type: ignore[union-attr]
    userinfo, at, hosts = authority.rpartition("@")
    return url["scheme"].lower(), userinfo + at, hosts, slash + path


def _from_go(go: re.Match[str]) -> str:
    user = quote(go["user"] or "", safe="")
    secret = ":***" if go["password"] else ""
    at = f"{user}{secret}@" if go["user"] else ""
    if go["net"] == "unix":
        return f"mysql://{at}localhost/{go['database']}?unix_socket={quote(go['address'], safe='/')}"
    return f"mysql://{at}{go['address']}/{go['database']}"


def split_hosts(dsn: str) -> tuple[tuple[str, str], ...]:
    """A URL whose comma-separated hosts are several nodes, as (host:port, that node's own URL) pairs.

    A single host gives one pair. A host without a port takes the port of none: it keeps the driver's default.
    """
    scheme, userinfo, hosts, tail = _split(dsn)
    parts = hosts.split(",")
    if len(parts) > 1 and not all(parts):
        raise ConfigError(f"{redact(dsn)!r}: an empty host between the commas")
    pairs = tuple((part or "localhost", f"{scheme}://{userinfo}{part}{tail}") for part in parts)
    names = [name for name, _ in pairs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{redact(dsn)!r} names {', '.join(sorted(twice))} more than once")
    return pairs


def parse_url(dsn: str) -> Url:
    """The parts of one node's URL. Raises `ConfigError`, without the password, for what is not one."""
    scheme, userinfo, hosts, tail = _split(dsn)
    shown = redact(dsn)
    if "," in hosts:
        raise ConfigError(f"{shown!r} names several hosts; one node has one. Give it to Cluster(nodes=...) to make them nodes")
    match = _HOST_PORT.match(hosts)
    if match is None:
        raise ConfigError(f"{shown!r}: what stands for the host is not host, host:port or [IPv6]:port")
    path, _, query = tail.partition("#")[0].partition("?")
    user, colon, password = userinfo.removesuffix("@").partition(":")
    options: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in options:
            raise ConfigError(f"{shown!r}: the option {key!r} is given twice")
        options[key] = value
    return Url(
        scheme=scheme,
        user=unquote(user) if user else None,
        password=unquote(password) if colon else None,
        host=unquote(match["v6"] if match["v6"] is not None else match["host"] or ""),
        port=_port(match["port"], shown),
        database=unquote(path.removeprefix("/")) or None,
        options=MappingProxyType(options),
    )


def _port(text: str | None, shown: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"{shown!r}: the port is not a number from 1 to 65535")
    return int(text)
