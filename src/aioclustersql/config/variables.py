"""`${VAR}` in the strings of config.toml. Nothing is read but the mapping that is given.

Rules: every string is looked at and every problem collected; no message shows a value, which may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

__all__ = ["FromEnvironment", "KeyPath", "Problem", "substitute"]

_DOLLAR = re.compile(r"\$(?:\$|\{(?P<inside>[^}]*)(?P<end>\}?))")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)

KeyPath = tuple[int | str, ...]


class Problem(NamedTuple):
    """What is wrong, and at which key."""

    path: KeyPath
    text: str


class FromEnvironment(str):
    """A text with a variable in it: where a number is wanted it may hold one."""

    __slots__ = ()


def substitute(value: Any, environ: Mapping[str, str], problems: list[Problem], path: KeyPath = ()) -> Any:
    """`value` with the variables in all its strings replaced; what cannot be replaced is added to `problems`.

    As in a shell, `${VAR:-default}` is the default where VAR is unset or empty. `$$` is a dollar, and so is a `$` before
    anything but `$` and `{`. In a node's `dsn` values are percent-encoded, unless one variable is all there is: it is the URL.
    """
    if isinstance(value, dict):
        return {key: substitute(each, environ, problems, (*path, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [substitute(each, environ, problems, (*path, index)) for index, each in enumerate(value)]
    if not isinstance(value, str) or "$" not in value:
        return value
    in_url = path[:1] == ("nodes",) and path[2:] == ("dsn",) and not _DOLLAR.fullmatch(value)

    def replacement(match: re.Match[str]) -> str:
        if match["inside"] is None:
            return "$"
        variable = _INSIDE.fullmatch(match["inside"])
        if variable is None or not match["end"]:
            problems.append(Problem(path, "a variable is written ${NAME} or ${NAME:-default}, a dollar before { is written $$"))
            return ""
        name, default = variable["name"], variable["default"]
        text = environ.get(name) if default is None else environ.get(name) or default
        if text is None:
            hint = f"set it, or write ${{{name}:-default}}"
            problems.append(Problem(path, f"the environment variable {name} is not set; {hint}"))
            return ""
        return quote(text, safe="") if in_url else text

    text = _DOLLAR.sub(replacement, value)
    return text if "connect_options" in path else FromEnvironment(text)
