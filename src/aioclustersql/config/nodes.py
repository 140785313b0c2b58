"""From the tables of config.toml to `Node` values: which default a node takes, and the URL that comes of it.

Rules: a node's own words win over [defaults]; what belongs together (`_TOGETHER`) is taken from one of them only; and a
default password is given to no other user than the default one. A `dsn` is filled like any other node: user, password, port,
database and TLS, where it says nothing of them in any spelling; but never a host or a socket, as a URL without a host means
the driver's own default. A `dsn` that lacks nothing is passed on letter by letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from ..dsn import Url, parse_url
from ..errors import ConfigError
from ..node import Node
from .tables import Defaults, File, NodeTable, OriginalFile

__all__ = ["SCHEMES", "PasswordFile", "build", "build_original", "says"]

SCHEMES: Mapping[str, str] = {
    "aiomysql": "mysql",
    "asyncmy": "mysql",
    "asyncpg": "postgresql",
    "psycopg": "postgresql",
}
"""What the URLs of each driver begin with."""

_TOGETHER = (("host", "unix_socket"), ("password", "password_file"), ("sslcert", "sslkey", "sslpassword"))
_TLS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword")
_KEYS = Defaults.model_fields.keys() - {"connect_options"}
_FILES = ("sslrootcert", "sslcert", "sslkey")
_SPELLINGS: Mapping[str, frozenset[str]] = {
    "user": frozenset({"user"}),
    "password": frozenset({"password", "passwd"}),
    "port": frozenset({"port"}),
    "database": frozenset({"database", "dbname", "db"}),
    "sslmode": frozenset({"sslmode", "ssl"}),
    "sslrootcert": frozenset({"sslrootcert", "sslca", "ssl"}),
    "sslcert": frozenset({"sslcert", "sslkey", "sslpassword", "ssl"}),
    "sslkey": frozenset({"sslcert", "sslkey", "sslpassword", "ssl"}),
    "sslpassword": frozenset({"sslcert", "sslkey", "sslpassword", "ssl"}),
}


class PasswordFile:
    """Reads a password from its file at each call, so that a rotated one is taken at the next login."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> str:
        """The text of the file without its last line's end. Raises `ConfigError` naming the path."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except OSError as exc:
            raise ConfigError(f"cannot read the password file {str(self.path)!r}: {exc.strerror}") from exc
        except UnicodeDecodeError:
            raise ConfigError(f"the password file {str(self.path)!r} is not UTF-8") from None
        return text.removesuffix("\n")

    def __repr__(self) -> str:
        return f"PasswordFile({str(self.path)!r})"


def says(url: Url, key: str) -> bool:
    """Whether `url` itself says what `key` of [defaults] would, in its parts or in any spelling of its options."""
    options = {name.lower().replace("-", "").replace("_", "") for name in url.options}
    return bool(options & _SPELLINGS[key]) or getattr(url, key, None) is not None


def build(file: File, folder: Path) -> tuple[Node, ...]:
    """The nodes of a checked file. Relative paths are taken from `folder`."""
    scheme = file.defaults.scheme or SCHEMES.get(file.cluster.driver or "", "")
    return tuple(_node(table, file.defaults, scheme, folder) for table in file.nodes)


def build_original(file: OriginalFile) -> tuple[Node, ...]:
    """The nodes of a checked file of the Go package's. An empty text is as good as none there."""
    return tuple(
        Node(
            each.Name,
            _write(
                Url(
                    "mysql",
                    user=each.UserName or None,
                    password=each.Password or None,
                    host=each.HostName or "localhost",
                    port=each.Port,
                    database=each.DBName or None,
                )
            ),
        )
        for each in file.Nodes
    )


def _node(table: NodeTable, defaults: Defaults, scheme: str, folder: Path) -> Node:
    said = _given(table)
    if table.dsn is None:
        url = Url(said.get("scheme", scheme))
        user = said.get("user", defaults.user)
    else:
        url = parse_url(table.dsn)
        user = url.options.get("user", url.user)
        said |= {key: None for key in _SPELLINGS if says(url, key)}
        said |= {"host": None}  # an address is whole: without a host it means the driver's default
    for group in _TOGETHER:
        if any(key in said for key in group):
            said = dict.fromkeys(group) | said
    if defaults.user is not None and user not in (None, defaults.user):
        said = {"password": None, "password_file": None} | said
    filled = {key: value for key, value in (_given(defaults) | said).items() if value is not None}

    options = defaults.connect_options | table.connect_options
    if "password_file" in filled:
        options["password"] = PasswordFile((folder / filled["password_file"]).absolute())
    dsn = table.dsn
    if dsn is None or filled.keys() & _SPELLINGS.keys():
        dsn = _write(_fill(url, filled, folder))
    return Node(table.name, dsn, weight=filled.get("weight", 1.0), connect_options=options)


def _given(table: Defaults) -> dict[str, Any]:
    return {key: getattr(table, key) for key in table.model_fields_set & _KEYS}


def _fill(url: Url, filled: Mapping[str, Any], folder: Path) -> Url:
    """`url` with what it lacks."""
    options = dict(url.options)
    for key in _TLS:
        if key in filled:
            value = filled[key]
            relative = key in _FILES and value != "system" and not value.startswith("~")
            options[key] = str((folder / value).absolute()) if relative else value
    host = filled.get("host", url.host)
    if "unix_socket" in filled:
        if url.scheme.startswith("postgres"):
            host = filled["unix_socket"]
        else:
            options["unix_socket"] = filled["unix_socket"]
    parts = {key: filled[key] for key in ("user", "password", "port", "database") if key in filled}
    return replace(url, host=host, options=MappingProxyType(options), **parts)


def _write(url: Url) -> str:
    """The text that `parse_url` takes apart into `url`."""
    user = quote(url.user or "", safe="")
    secret = "" if url.password is None else ":" + quote(url.password, safe="")
    at = "@" if user or secret else ""
    try:
        host = f"[{quote(url.host, safe=':')}]" if ip_address(url.host).version == 6 else url.host
    except ValueError:
        host = quote(url.host, safe="")
    port = "" if url.port is None else f":{url.port}"
    query = "?" + urlencode(url.options, quote_via=quote) if url.options else ""
    return f"{url.scheme}://{user}{secret}{at}{host}{port}/{quote(url.database or '', safe='')}{query}"
