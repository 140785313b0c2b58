"""config.toml -> `Settings`: the nodes, and the keyword arguments of `Cluster`. No I/O but reading files.

The keys are in `tables`, `${VAR}` in `variables`, the rules between keys in `check`, a node's defaults and URL in `nodes`.
Rule: all that is wrong with a file is said in one `ConfigError`, each with its key's path, and no message shows a secret.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import ConfigError
from ..node import Node
from .check import check, report
from .nodes import build, build_original
from .tables import File
from .variables import Problem, substitute

__all__ = ["Settings", "load"]


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What a config.toml says: `Cluster(nodes, **options)`. `source` is the file's absolute path."""

    nodes: tuple[Node, ...]
    options: Mapping[str, Any]
    source: Path

    def __repr__(self) -> str:
        return f"Settings({self.nodes!r}, options=<{', '.join(sorted(self.options))}>, source={str(self.source)!r})"


def load(path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the file at `path`, else the one that $DBCONFIG names, else ./config.toml.

    `environ` stands for `os.environ`. The Go package's own file (`[[Nodes]]`) is read as it is: nothing in it is expanded.
    Raises `ConfigError` with everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    named = path is None and bool(environ.get("DBCONFIG"))
    source = Path(path if path is not None else environ.get("DBCONFIG") or "config.toml")
    raw = _read(source, " (named by $DBCONFIG)" if named else "")
    problems: list[Problem] = []
    if "Nodes" not in raw:
        raw = substitute(raw, environ, problems)
    folder = source.absolute().parent
    file, problems = check(raw, folder, problems)
    if file is None:
        raise ConfigError(report(source, raw, problems))
    if isinstance(file, File):
        options = {key: value for section in file.sections for key, value in section.keywords().items()}
        if file.connect_options:
            options["connect_options"] = dict(file.connect_options)
        nodes = build(file, folder)
    else:
        options, nodes = {}, build_original(file)
    return Settings(nodes, MappingProxyType(options), source.absolute())


def _read(source: Path, named: str) -> dict[str, Any]:
    try:
        text = source.read_bytes().decode("utf-8-sig")
        return tomllib.loads(text)
    except FileNotFoundError:
        hint = "" if named else "; name another with its path or in $DBCONFIG"
        raise ConfigError(f"{source}{named}: there is no such file{hint}") from None
    except OSError as exc:
        raise ConfigError(f"{source}{named}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{source}{named}: is not UTF-8 (at byte {exc.start})") from None
    except tomllib.TOMLDecodeError as exc:
        last = f", line {text.count(chr(10)) + 1}" if "end of document" in str(exc) else ""
        raise ConfigError(f"{source}{named}: is not valid TOML: {exc}{last}") from None
