"""Options by name: which are known, and how the text of a URL's query becomes a value.

What an option means is each driver's business. Rule: an error names the option and where it stood, and shows no secret.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from ..errors import ConfigError

__all__ = ["check_known", "convert", "convert_known", "nearest"]

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely a misspelling of, if any."""
    names = {each.lower().replace("-", "_"): each for each in sorted(known)}
    found = get_close_matches(name.lower().replace("-", "_"), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def check_known(options: Iterable[str], known: Collection[str], where: str) -> None:
    """Raise `ConfigError` for the first option that is not `known`, with the nearest that is. `where` names the driver."""
    for name in options:
        if name not in known:
            near = nearest(str(name), known)
            hint = f"; did you mean {near!r}?" if near else f"; known are {', '.join(sorted(known))}"
            raise ConfigError(f"unknown option {name!r} for {where}{hint}")


def convert(name: str, text: str, kind: type, shown: str) -> Any:
    """`text` as a `kind` (bool, int, float or str). Raises `ConfigError` naming the option and, by `shown`, its URL.

    Booleans are true, 1, yes, on and false, 0, no, off, in any case. Numbers are finite.
    """
    text = text.strip() if kind is not str else text
    if kind is bool:
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise ConfigError(f"{shown!r}: the option {name!r} is true or false, not {text!r}")
    if kind is int or kind is float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        word = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{shown!r}: the option {name!r} is {word}, not {text!r}")
    return text


def convert_known(options: Mapping[str, str], kinds: Mapping[str, type], shown: str) -> dict[str, Any]:
    """A URL's options, those named in `kinds` converted, the others left as text."""
    return {name: convert(name, text, kinds.get(name, str), shown) for name, text in options.items()}
