"""Addresses and options of MySQL's drivers: a URL and keyword arguments become an `Endpoint`. Pure, no I/O.

Rule: the options are what the installed version of the driver's connect takes; a wrong one is an error here and not at the first
login.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ...dsn import parse_url, redact
from ...errors import ConfigError
from ..base import Endpoint, Password
from ..options import check_known, convert_known
from ..tls import TLS_OPTIONS, take_tls

__all__ = ["MySQLOptions", "as_latin1"]

_ADDRESS = frozenset({"host", "port", "unix_socket", "db", "database", "dsn"})
_LOGIN = frozenset({"user", "password", "passwd"})
_WORDS = ("sql_mode", "init_command", "read_default_file", "read_default_group", "program_name")
_PLACE = "scheme://user:password@host:port/database"


class MySQLOptions:
    """The options of one driver, which are the parameters of its `connect`.

    has_charset: whether the driver knows a charset of that name. refused: parameters that a cluster has no use for, and why.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[..., object],
        has_charset: Callable[[str], bool],
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.schemes = frozenset({"mysql", "mariadb", f"mysql+{name}", f"mariadb+{name}"})
        self._has_charset = has_charset
        self._refused = refused or {}
        defaults = {option: each.default for option, each in inspect.signature(connect).parameters.items()}
        kinds: dict[str, type] = {option: type(value) for option, value in defaults.items() if type(value) in (bool, int, str)}
        kinds |= {"connect_timeout": float, "read_timeout": float, "use_unicode": bool}
        kinds |= dict.fromkeys(_WORDS, str)
        self._kinds = {option: kind for option, kind in kinds.items() if option in defaults}
        self._known = (frozenset(defaults) | TLS_OPTIONS) - _ADDRESS - {"loop"} - self._refused.keys()
        # conv, cursorclass and the like: no text of a URL makes one
        self._objects: Collection[str] = self._known - self._kinds.keys() - TLS_OPTIONS - _LOGIN

    def parse(self, dsn: str, options: Mapping[str, Any]) -> Endpoint:
        """A node's URL and its connect options, these going over the URL's. Raises `ConfigError`.

        `?unix_socket=/path`, or a path as the host (`mysql://app@%2Frun%2Fmysqld.sock/shop`), is a unix socket. The address
        belongs in the URL; `user` and `password` may be in `options`. `sslmode=allow` is as `prefer`: nothing has to be tried,
        the server's greeting says whether it can encrypt.
        """
        url, shown = parse_url(dsn), redact(dsn)
        if url.scheme not in self.schemes:
            raise ConfigError(f"{shown!r}: {self.name}'s schemes are {', '.join(sorted(self.schemes))}")
        query, given = dict(url.options), dict(options)
        _refuse_target(query, given, shown)
        path = query.pop("unix_socket", None) or (url.host if url.host.startswith("/") else None)
        for name in query:
            if name in _ADDRESS or name in _LOGIN:
                raise ConfigError(f"{shown!r}: {name!r} is no query option; write {_PLACE}")
            if name in self._objects:
                raise ConfigError(f"{shown!r}: {name!r} cannot be written as text; give it in connect_options")
        for name in given:
            if name in _ADDRESS:
                raise ConfigError(f"{name!r} in connect_options: a node's address belongs in its URL ({shown!r}: {_PLACE})")
        user = given.pop("user", None) or url.user
        if user is not None and not isinstance(user, str):
            raise ConfigError(f"{shown!r}: 'user' is a string, not {type(user).__name__}")
        password = _password(given.pop("password", None), url.password)
        tls = take_tls(given, shown=shown, over=take_tls(query, shown=shown))
        arguments: dict[str, Any]
        if path:
            address, arguments = path, {"unix_socket": path}
        else:
            host, port = url.host or "localhost", url.port or 3306
            _check_host(host, shown)
            address, arguments = f"[{host}]:{port}" if ":" in host else f"{host}:{port}", {"host": host, "port": port}
        if user is not None:
            arguments["user"] = user
        if url.database is not None:
            arguments["db"] = url.database
        self._check_known(query, shown)
        arguments = self._over(arguments, convert_known(query, self._kinds, shown), shown)
        return Endpoint(address, self._over(arguments, given, shown), password, tls)

    def override(self, endpoint: Endpoint, options: Mapping[str, Any]) -> Endpoint:
        """The options of one connect over the node's. `client_flag` is OR-ed; a `loop` may only be the running one.

        An address or a user is a `ConfigError` by name, and so is an option that the driver's connect does not know.
        """
        given, shown = dict(options), endpoint.address
        for name in given:
            if name in _ADDRESS or name in _LOGIN:
                raise ConfigError(f"{name!r} cannot be given to one connect: address and user belong to the registered node")
        _refuse_target({}, given, shown)
        loop = given.pop("loop", None)
        if loop is not None and loop is not _running_loop():
            raise ConfigError("'loop' is not the running event loop; leave it out")
        tls = take_tls(given, shown=shown, over=endpoint.extra)
        flags = endpoint.arguments.get("client_flag", 0)
        arguments = self._over(endpoint.arguments, given, shown)
        if flags:
            arguments["client_flag"] = arguments.get("client_flag", 0) | flags
        return Endpoint(shown, arguments, endpoint.password, tls)

    def _check_known(self, options: Mapping[str, Any], shown: str) -> None:
        for option in options:
            if option in self._refused:
                raise ConfigError(f"{shown}: the option {option!r} is refused: {self._refused[option]}")
        check_known(options, self._known, f"{self.name} ({shown})")

    def _over(self, arguments: Mapping[str, Any], given: Mapping[str, Any], shown: str) -> dict[str, Any]:
        """`given` over `arguments`, checked; None means the driver's default, but for `autocommit` (None: the server's)."""
        merged = dict(arguments)
        self._check_known(given, shown)
        for name, value in given.items():
            if value is None and name != "autocommit":
                merged.pop(name, None)
                continue
            self._check_type(name, value, shown)
            merged[name] = value
        return merged

    def _check_type(self, name: str, value: object, shown: str) -> None:
        kind = self._kinds.get(name)
        if kind is None or value is None:
            return
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{shown}: {name!r} is of type {kind.__name__}, not {type(value).__name__}")
        if name == "charset" and value and not self._has_charset(str(value)):
            raise ConfigError(f"{shown}: the charset {value!r} is unknown; utf8mb4 is what most want")


def as_latin1(password: str) -> str:
    """The text that a driver which encodes passwords as latin-1 sends as `password` in UTF-8.

    UTF-8 is what every current server's own clients send; as it is, a password with € would fail and be shown in the error.
    """
    try:
        return password.encode().decode("latin-1")
    except UnicodeEncodeError:
        raise ConfigError("the password is not valid text (it holds half of a surrogate pair)") from None


def _check_host(host: str, shown: str) -> None:
    try:
        if "\0" in host:
            raise ConfigError(f"{shown!r}: a host name holds no NUL")
        host.encode("idna")
    except UnicodeError:
        raise ConfigError(f"{shown!r}: {host!r} cannot be a host name (an empty or over-long part)") from None


def _password(given: object, from_url: str | None) -> Password:
    if given is None or isinstance(given, str) or callable(given):
        return from_url if given is None else given
    raise ConfigError(f"'password' is a string or a function that returns one, not {type(given).__name__}")


def _refuse_target(query: Mapping[str, Any], given: Mapping[str, Any], shown: str) -> None:
    if "target_session_attrs" in query or "target_session_attrs" in given:
        raise ConfigError(
            f"{shown!r}: 'target_session_attrs' is not a node's to say; use Cluster(target=...) or connect(target=...)"
        )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
