"""TLS in libpq's words, for every driver: what the options mean, and the `SSLContext` that comes of them.

No handshake lives here, that is each driver's. Rule: reading options does no I/O; files are read once, at the first login.
https://www.postgresql.org/docs/current/libpq-ssl.html says what the modes protect against. Where we differ from libpq:
`verify-ca` and `verify-full` without a root certificate use the system's store (libpq wants ~/.postgresql/root.crt); a root
certificate without a mode means `verify-ca`, as in MySQL's client (libpq would check nothing), and `system` means `verify-full`.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..errors import ConfigError

__all__ = ["TLS_OPTIONS", "Tls", "TlsMode", "take_tls"]


class TlsMode(StrEnum):
    """libpq's `sslmode`."""

    DISABLE = "disable"
    """Never encrypted."""
    ALLOW = "allow"
    """Plain; encrypted only where the server refuses that."""
    PREFER = "prefer"
    """Encrypted where the server can, else plain. Protects from nobody who can change the traffic."""
    REQUIRE = "require"
    """Encrypted, with whoever answers; with a root certificate the same as verify-ca."""
    VERIFY_CA = "verify-ca"
    """Encrypted, and the server's certificate comes from a trusted authority."""
    VERIFY_FULL = "verify-full"
    """The same, and the certificate is for the host that was asked for."""


_MYSQL_MODES = {
    "disabled": TlsMode.DISABLE,
    "preferred": TlsMode.PREFER,
    "required": TlsMode.REQUIRE,
    "verify_ca": TlsMode.VERIFY_CA,
    "verify_identity": TlsMode.VERIFY_FULL,
}
_ALIASES = {
    "sslmode": "sslmode",
    "ssl_mode": "sslmode",
    "ssl-mode": "sslmode",
    "sslrootcert": "sslrootcert",
    "ssl_ca": "sslrootcert",
    "ssl-ca": "sslrootcert",
    "sslcert": "sslcert",
    "ssl_cert": "sslcert",
    "ssl-cert": "sslcert",
    "sslkey": "sslkey",
    "ssl_key": "sslkey",
    "ssl-key": "sslkey",
    "sslpassword": "sslpassword",
    "ssl": "ssl",
}
TLS_OPTIONS = frozenset(_ALIASES)
"""Every spelling that `take_tls` takes."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How one node's connections are encrypted. `context`, where given, is the user's own and is used as it is.

    `key_password` (libpq's `sslpassword`) opens an encrypted key file. The repr never shows it.
    """

    mode: TlsMode
    root_cert: str | None = None
    cert: str | None = None
    key: str | None = None
    context: ssl.SSLContext | None = field(default=None, repr=False)
    key_password: str | None = field(default=None, repr=False)
    shown: str = field(default="", repr=False, compare=False)
    mode_given: bool = field(default=False, repr=False, compare=False)
    """Whether somebody wrote the mode; one that nobody wrote follows from the root certificate."""
    _made: list[ssl.SSLContext] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def required(self) -> bool:
        """Whether a server that cannot encrypt is refused."""
        return self.mode not in (TlsMode.DISABLE, TlsMode.ALLOW, TlsMode.PREFER)

    @property
    def verifies(self) -> bool:
        """Whether the context made here checks the server's certificate."""
        return self.mode in (TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL) or (
            self.mode is TlsMode.REQUIRE and self.root_cert is not None
        )

    def ssl_context(self, *, alpn: Sequence[str] = ()) -> ssl.SSLContext | None:
        """The context for a handshake; None under `disable`. Made at the first call, kept for the next ones.

        `alpn` names the protocols to offer; a user's own context is never touched. Raises `ConfigError` that names the
        option and the path of a file that is missing or not what it should be.
        """
        if self.context is not None or self.mode is TlsMode.DISABLE:
            return self.context
        if not self._made:
            self._made.append(self._make(alpn))
        return self._made[0]

    def _make(self, alpn: Sequence[str]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.mode is TlsMode.VERIFY_FULL
        context.verify_mode = ssl.CERT_REQUIRED if self.verifies else ssl.CERT_NONE
        if self.verifies:
            self._trust(context)
        if self.cert is not None:
            self._identify(context, self.cert)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        if self.root_cert is None or self.root_cert == "system":
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            return
        path = self._readable("sslrootcert", self.root_cert)
        try:
            context.load_verify_locations(cafile=path)
        except ssl.SSLError as exc:
            raise ConfigError(f"{self._where}sslrootcert: {path!r} holds no certificate in PEM format ({exc.reason})") from exc

    def _identify(self, context: ssl.SSLContext, cert: str) -> None:
        cert = self._readable("sslcert", cert)
        key = self._readable("sslkey", self.key) if self.key is not None else None
        try:
            # A key password is always given, else OpenSSL asks for one on the terminal.
            context.load_cert_chain(cert, key, password=self.key_password or "")
        except ssl.SSLError as exc:
            files = f"sslcert {cert!r}" + (f" and sslkey {key!r}" if key else "")
            hint = "they are not a certificate and its key in PEM format, or sslpassword does not open the key"
            raise ConfigError(f"{self._where}{files}: {hint} ({exc.reason or 'no reason given'})") from exc

    def _readable(self, option: str, name: str) -> str:
        path = Path(name).expanduser()
        try:
            path.open("rb").close()
        except OSError as exc:
            raise ConfigError(f"{self._where}{option}: cannot read {str(path)!r}: {exc.strerror}") from exc
        return str(path)

    @property
    def _where(self) -> str:
        return f"{self.shown}: " if self.shown else ""


def take_tls(options: dict[str, Any], *, shown: str, over: Tls | None = None) -> Tls | None:
    """Take every TLS option out of `options`; None where there was none and there is no `over`.

    `over` is what held so far: the words found here go over its own, `ssl=` replaces it. `shown` is what errors call the
    place (a redacted URL). Raises `ConfigError` for an unknown word, and for options that contradict each other.
    """
    found: dict[str, Any] = {}
    names: dict[str, str] = {}
    for spelling in [name for name in options if name in _ALIASES]:
        value = options.pop(spelling)
        option = _ALIASES[spelling]
        if value is None:
            continue
        if option in names:
            raise ConfigError(f"{shown}: {names[option]!r} and {spelling!r} say the same thing; keep one")
        found[option], names[option] = value, spelling
    if not found:
        return over
    if "ssl" in found:
        return _from_ssl(found, names, shown)
    for option in ("sslrootcert", "sslcert", "sslkey"):
        if option in found:
            found[option] = _path(found[option], names[option], shown)
    if not isinstance(found.get("sslpassword", ""), str):
        raise ConfigError(f"{shown}: sslpassword is a string")
    if over is not None and over.context is not None and "sslmode" not in found:
        raise ConfigError(
            f"{shown}: {', '.join(map(repr, names.values()))} would change the SSLContext that is set; give sslmode too"
        )
    base = over if over is not None and over.context is None else Tls(TlsMode.PREFER)
    root_cert = found.get("sslrootcert", base.root_cert)
    if "sslmode" in found:
        mode = _mode(found["sslmode"], names["sslmode"], shown)
    elif "sslrootcert" in found and not base.mode_given:
        mode = TlsMode.VERIFY_FULL if root_cert == "system" else TlsMode.VERIFY_CA
    else:
        mode = base.mode
    tls = replace(
        base,
        mode=mode,
        root_cert=root_cert,
        cert=found.get("sslcert", base.cert),
        key=found.get("sslkey", base.key),
        key_password=found.get("sslpassword", base.key_password),
        shown=shown,
        mode_given=base.mode_given or "sslmode" in found,
    )
    if tls.key is not None and tls.cert is None:
        raise ConfigError(f"{shown}: sslkey without sslcert; name the certificate that belongs to the key")
    if tls.root_cert == "system" and mode is not TlsMode.VERIFY_FULL and mode is not TlsMode.DISABLE:
        raise ConfigError(
            f"{shown}: sslrootcert=system needs sslmode=verify-full: anybody can have a certificate of a public authority"
        )
    return tls


def _from_ssl(found: dict[str, Any], names: dict[str, str], shown: str) -> Tls:
    value = found.pop("ssl")
    if found:
        others = " and ".join(repr(names[option]) for option in found)
        raise ConfigError(f"{shown}: 'ssl' and {others} contradict each other; give an SSLContext, or the words without 'ssl'")
    if isinstance(value, ssl.SSLContext):
        return Tls(TlsMode.REQUIRE, context=value, shown=shown, mode_given=True)
    if isinstance(value, bool) or value in ("true", "false"):
        return Tls(TlsMode.VERIFY_FULL if value in (True, "true") else TlsMode.DISABLE, shown=shown, mode_given=True)
    return Tls(_mode(value, "ssl", shown), shown=shown, mode_given=True)


def _mode(word: object, option: str, shown: str) -> TlsMode:
    text = str(word).lower() if isinstance(word, str) else None
    if text is not None:
        if text in _MYSQL_MODES:
            return _MYSQL_MODES[text]
        if text in list(TlsMode):
            return TlsMode(text)
    known = ", ".join(TlsMode)
    words = ", ".join(name.upper() for name in _MYSQL_MODES)
    extra = ", an SSLContext, true or false" if option == "ssl" else ""
    said = repr(word) if isinstance(word, str) else type(word).__name__
    raise ConfigError(f"{shown}: {option} {said} is unknown; it is one of {known} (or MySQL's {words}){extra}")


def _path(value: object, option: str, shown: str) -> str:
    if not isinstance(value, str | os.PathLike) or not (path := os.fspath(value)) or not isinstance(path, str):
        raise ConfigError(f"{shown}: {option} is the path of a file in PEM format, not {value!r}")
    return path
