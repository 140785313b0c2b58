"""What a single value of config.toml may be: checked types, each saying what to write. The tables made of them are in `tables`.

Rules: nothing is coerced, but for a number or a switch that comes from a variable; no message shows a wrong value, only its type.
"""

from __future__ import annotations

import math
import re
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from ..dsn import parse_url
from ..errors import ConfigError
from ..node import Target
from .variables import FromEnvironment

__all__ = [
    "Dsn",
    "GraceSeconds",
    "Host",
    "HostOrNone",
    "Interval",
    "Lag",
    "Never",
    "PortNumber",
    "Positive",
    "Seconds",
    "Socket",
    "Stagger",
    "Switch",
    "TargetName",
    "Text",
    "Weight",
    "WholeNumber",
    "type_name",
]

_TYPES = {"bool": "a boolean", "int": "an integer", "float": "a float", "str": "a string", "list": "an array", "dict": "a table"}

_SWITCHES = {"true": True, "false": False}


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


def _whole(value: object, wanted: str, least: int, most: float = math.inf) -> int:
    number = _number(value, wanted)
    if not isinstance(number, int) or not least <= number <= most:
        raise _wrong(f"must be {wanted}")
    return number


def _port(value: object) -> int:
    return _whole(value, "a whole number from 1 to 65535", 1, 65535)


def _natural(value: object) -> int:
    return _whole(value, "a whole number, 0 or more", 0)


def _positive(value: object) -> int:
    return _whole(value, "a whole number, 1 or more", 1)


def _seconds(value: object, wanted: str = "a number of seconds above 0, or inf") -> float:
    number = math.inf if value == "inf" else _number(value, wanted)
    if not number > 0:
        raise _wrong(f"must be {wanted}")
    return float(number)


def _grace(value: object, wanted: str = "a number of seconds, 0 or more, or inf") -> float:
    number = math.inf if value == "inf" else _number(value, wanted)
    if not number >= 0:
        raise _wrong(f"must be {wanted}")
    return float(number)


def _interval(value: object) -> float | None:
    """TOML has no null, so that no monitor has a word of its own."""
    return None if value == "off" else _seconds(value, 'a number of seconds above 0, or "off" for no monitor')


def _lag(value: object) -> float:
    return _grace(value, "a number, 0 or more, or inf")


def _switch(value: object) -> bool:
    if isinstance(value, FromEnvironment):
        if value not in _SWITCHES:
            raise _wrong("must be true or false; its variable holds neither")
        return _SWITCHES[value]
    if not isinstance(value, bool):
        raise _wrong(f"must be true or false, not {type_name(value)}")
    return value


def _never(value: object) -> bool:
    if _switch(value):
        raise _wrong(
            "must be false, or left out: connections are reset then; a function of your own goes to from_config(reset=...)"
        )
    return False


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
TargetName = Annotated[Text, AfterValidator(_target)]
Stagger = Annotated[Literal["auto", 0], BeforeValidator(_stagger)]
Host = Annotated[Text, AfterValidator(_host)]
HostOrNone = Annotated[str, AfterValidator(_host)]
Socket = Annotated[Text, AfterValidator(_socket)]
Dsn = Annotated[Text, AfterValidator(_dsn)]
PortNumber = Annotated[int, BeforeValidator(_port)]
WholeNumber = Annotated[int, BeforeValidator(_natural)]
Positive = Annotated[int, BeforeValidator(_positive)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
"""Above 0."""
GraceSeconds = Annotated[float, BeforeValidator(_grace)]
"""0 too."""
Interval = Annotated[float | None, BeforeValidator(_interval)]
Lag = Annotated[float, BeforeValidator(_lag)]
Weight = Annotated[float, BeforeValidator(_weight)]
Switch = Annotated[bool, BeforeValidator(_switch)]
Never = Annotated[Literal[False], BeforeValidator(_never)]
"""A switch that can only be turned off."""
