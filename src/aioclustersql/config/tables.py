"""The tables of config.toml: which keys there are, and what each may hold. No I/O; nodes are made elsewhere.

Rules: nothing is coerced, but for a number that comes from a variable; no message shows a wrong value, only its type.
A new section is a `Section` with its `prefix`, and a field of `File`: the rest follows from these tables.
"""

from __future__ import annotations

import math
import re
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ..dsn import parse_url
from ..errors import ConfigError
from ..node import Target
from .variables import FromEnvironment

__all__ = ["ClusterSection", "Defaults", "File", "NodeTable", "OriginalFile", "OriginalNode", "Section", "Table", "type_name"]

_TYPES = {"bool": "a boolean", "int": "an integer", "float": "a float", "str": "a string", "list": "an array", "dict": "a table"}


def type_name(value: object) -> str:
    """What TOML calls the type of `value`."""
    return "a string" if isinstance(value, str) else _TYPES.get(type(value).__name__, "a date or a time")


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("config", "{text}", {"text": text})


def _number(value: object, wanted: str) -> int | float:
    if isinstance(value, FromEnvironment):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
        raise _wrong(f"must be {wanted}; its variable holds none")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(f"must be {wanted}, not {type_name(value)}")
    return value


def _port(value: object) -> int:
    wanted = "a whole number from 1 to 65535"
    number = _number(value, wanted)
    if not isinstance(number, int) or not 0 < number < 65536:
        raise _wrong(f"must be {wanted}")
    return number


def _seconds(value: object) -> float:
    wanted = "a number of seconds above 0, or inf"
    number = math.inf if value == "inf" else _number(value, wanted)
    if not number > 0:
        raise _wrong(f"must be {wanted}")
    return float(number)


def _grace(value: object) -> float:
    wanted = "a number of seconds, 0 or more, or inf"
    number = math.inf if value == "inf" else _number(value, wanted)
    if not number >= 0:
        raise _wrong(f"must be {wanted}")
    return float(number)


def _weight(value: object) -> float:
    wanted = "a finite number above 0"
    number = _number(value, wanted)
    if not 0 < number < math.inf:
        raise _wrong(f"must be {wanted}")
    return float(number)


def _stagger(value: object) -> object:
    if value == "auto":
        return "auto"
    wanted = 'either "auto", or 0 for every node at once'
    if _number(value, wanted) != 0:
        raise _wrong(f"must be {wanted}")
    return 0


def _target(value: str) -> str:
    if value not in list(Target):
        raise _wrong(f"must be one of {', '.join(Target)}")
    return value


def _host(value: str) -> str:
    host = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    try:
        ip_address(host)
    except ValueError:
        if re.search(r"[\s/?#@:,\[\]]", host):
            raise _wrong("must be one host's name or address; a port is `port`, a socket's path is `unix_socket`") from None
    return host


def _socket(value: str) -> str:
    if not value.startswith("/"):
        raise _wrong("must be an absolute path")
    return value


def _dsn(value: str) -> str:
    try:
        parse_url(value)
    except ConfigError as exc:
        raise _wrong(_safe(value, exc)) from None
    return value


def _safe(dsn: str, error: ConfigError) -> str:
    """What `error` says of `dsn`, unless it may have taken a part of the password for something else."""
    _, found, rest = dsn.partition("://")
    authority, _, path = re.sub(r"[/?#]", "/", rest).partition("/")
    if found and "@" not in path and ("@" in authority or ":" not in authority):
        return str(error)
    if not found and re.search(r"^(?:[^:@/]*(?::.*)?@)?\w+\([^)]*\)/", dsn):
        return str(error)
    return (
        "must be a URL, scheme://user:password@host:port/database: the port is a number from 1 to 65535, "
        "and in a name or a password the characters @ : / ? # % [ ] are percent-encoded"
    )


Text = Annotated[str, Field(min_length=1)]
Host = Annotated[Text, AfterValidator(_host)]
PortNumber = Annotated[int, BeforeValidator(_port)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
GraceSeconds = Annotated[float, BeforeValidator(_grace)]
Weight = Annotated[float, BeforeValidator(_weight)]


class Table(BaseModel):
    """A table of the file: no key is unknown."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Section(Table):
    """A table whose keys are keywords of `Cluster`, once `prefix` is put before them."""

    prefix: ClassVar[str] = ""

    def keywords(self) -> dict[str, Any]:
        """What the file says, by the names of `Cluster`'s keywords; what it leaves out is left to `Cluster`."""
        return {self.prefix + key: getattr(self, key) for key in type(self).model_fields if key in self.model_fields_set}


class ClusterSection(Section):
    """[cluster]"""

    name: Text = "cluster"
    driver: Text | None = None
    target: Annotated[Text, AfterValidator(_target)] = "read-write"
    stagger: Annotated[Literal["auto", 0], BeforeValidator(_stagger)] = "auto"
    connect_timeout: Seconds = 10.0
    close_timeout: GraceSeconds = 5.0


class Defaults(Table):
    """[defaults]: what every node may have."""

    scheme: Text | None = None
    host: Host | None = None
    port: PortNumber | None = None
    unix_socket: Annotated[Text, AfterValidator(_socket)] | None = None
    user: str | None = None
    password: str | None = None
    password_file: Text | None = None
    database: str | None = None
    sslmode: Text | None = None
    sslrootcert: Text | None = None
    sslcert: Text | None = None
    sslkey: Text | None = None
    sslpassword: str | None = None
    weight: Weight = 1.0
    connect_options: dict[str, Any] = {}


class NodeTable(Defaults):
    """[[nodes]]"""

    name: Text
    dsn: Annotated[Text, AfterValidator(_dsn)] | None = None


class File(Table):
    """The whole file."""

    cluster: ClusterSection = ClusterSection()
    connect_options: dict[str, Any] = {}
    defaults: Defaults = Defaults()
    nodes: Annotated[list[NodeTable], Field(min_length=1)]

    @property
    def sections(self) -> tuple[Section, ...]:
        """The tables that hold keywords of `Cluster`."""
        return tuple(table for key in type(self).model_fields if isinstance(table := getattr(self, key), Section))


class OriginalNode(Table):
    """[[Nodes]] of the Go package's file."""

    Name: Text
    HostName: Annotated[str, AfterValidator(_host)] = ""
    Port: PortNumber = 3306
    UserName: str = ""
    Password: str = ""
    DBName: str = ""


class OriginalFile(Table):
    """The Go package's file."""

    Nodes: Annotated[list[OriginalNode], Field(min_length=1)]
