"""All that is wrong with a config.toml, in one go: what pydantic finds in the tables, and what keys say of each other.

Rules: a problem has its key's path and says what to write; none shows a value but that of a path. Where a variable is unset
nothing more is said of its key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..drivers.options import nearest
from ..dsn import parse_url
from ..errors import ConfigError
from .nodes import SCHEMES, PasswordFile, says
from .tables import (
    ClusterSection,
    Defaults,
    File,
    MonitorSection,
    NodeTable,
    OriginalFile,
    OriginalNode,
    PoolSection,
    Section,
    Table,
)
from .values import type_name
from .variables import KeyPath, Problem

__all__ = ["check", "report"]

_TABLES: Mapping[str, type[Table]] = {
    "cluster": ClusterSection,
    "pool": PoolSection,
    "monitor": MonitorSection,
    "defaults": Defaults,
    "nodes": NodeTable,
    "Nodes": OriginalNode,
}
_ORDER = tuple(_TABLES)
_BELONGS = {
    (table.prefix if issubclass(table, Section) else "") + key: (name, key)
    for name, table in _TABLES.items()
    if table not in (NodeTable, OriginalNode)
    for key in table.model_fields
}
"""Each key, by the name that `Cluster` has for it: its table, and its name there."""
_WANTED = {"string_type": "a string", "model_type": "a table", "dict_type": "a table", "list_type": "an array of tables: [[{}]]"}
_OTHER_NAMES = {
    "address": "host",
    "db": "database",
    "dbname": "database",
    "hostname": "host",
    "passwd": "password",
    "pwd": "password",
    "socket": "unix_socket",
    "ssl_ca": "sslrootcert",
    "ssl_cert": "sslcert",
    "ssl_key": "sslkey",
    "ssl_mode": "sslmode",
    "uri": "dsn",
    "url": "dsn",
    "username": "user",
}
_EITHER = (("host", "unix_socket"), ("password", "password_file"))
_BESIDE_DSN = frozenset({"name", "dsn", "weight", "password_file", "connect_options"})
_NO_OPTION = frozenset(NodeTable.model_fields) - {"name", "scheme", "weight", "connect_options"}


def check(raw: dict[str, Any], folder: Path, known: Sequence[Problem]) -> tuple[File | OriginalFile | None, list[Problem]]:
    """The checked file, or None and every problem. `known` are the problems there already; `folder` is the file's."""
    original = "Nodes" in raw
    problems = list(known)
    checked: File | OriginalFile | None = None
    try:
        checked = OriginalFile.model_validate(raw) if original else File.model_validate(raw)
    except ValidationError as exc:
        problems += [_explain(error, original) for error in exc.errors(include_url=False)]
    problems += _names(raw, original)
    if not original:
        problems += _sizes(_table(raw.get("pool")))
        problems += _nodes(raw, folder)
        problems += _connect_options(raw)
    silent = {problem.path for problem in known}
    problems = [*known, *(problem for problem in problems[len(known) :] if problem.path not in silent)]
    return (None if problems else checked), problems


def report(source: Path, raw: dict[str, Any], problems: Sequence[Problem]) -> str:
    """The message of all `problems`, in the order of the file's tables."""

    def place(problem: Problem) -> tuple[int, int]:
        table, index = [*problem.path, -1, -1][:2]
        return (_ORDER.index(table) if table in _ORDER else -1, index if isinstance(index, int) else -1)

    lines = [f"{_shown(problem.path, raw)}: {problem.text}" for problem in sorted(problems, key=place)]
    if len(lines) == 1:
        return f"{source}: {lines[0]}"
    return "\n  ".join([f"{source}: {len(lines)} errors", *lines])


def _shown(path: KeyPath, raw: dict[str, Any]) -> str:
    """A path as text, with the node's name where it has one: `nodes[0].port (maria1)`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." * bool(text) + (part if re.fullmatch(r"[\w-]+", part) else json.dumps(part))
    if len(path) > 1 and isinstance(path[1], int) and isinstance(node := raw[str(path[0])][path[1]], dict):
        name = node.get("name", node.get("Name"))
        text += f" ({name})" if isinstance(name, str) and name else ""
    return text


# --- what pydantic found --------------------------------------------------------------------------------------------------


def _explain(error: ErrorDetails, original: bool) -> Problem:
    path, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        return Problem(path, _unknown(path, original))
    if kind == "missing":
        return Problem(path, "missing" if len(path) > 1 else "missing; write one [[nodes]] for each node")
    if kind == "too_short":
        return Problem(path, f"empty; write one [[{path[-1]}]] for each node")
    if kind == "string_too_short":
        return Problem(path, "must not be empty")
    if kind in _WANTED:
        return Problem(path, f"must be {_WANTED[kind].format(path[-1])}, not {type_name(error['input'])}")
    return Problem(path, error["msg"])


def _unknown(path: KeyPath, original: bool) -> str:
    key, section = str(path[-1]), str(path[0])
    if len(path) == 1 and original:
        return "unknown key beside [[Nodes]], as the Go package has them; write [[nodes]], with name, host, port, user, ..."
    known = set(File.model_fields if len(path) == 1 else _TABLES[section].model_fields)
    if (other := _OTHER_NAMES.get(key.lower().replace("-", "_"))) in known:
        return f"unknown key; did you mean {other!r}?"
    if not original and key in _BELONGS:
        table, name = _BELONGS[key]
        return f"unknown key; did you mean {name!r}?" if table == section else _elsewhere(table, key, name)
    near = nearest(key, known)
    return f"unknown key; did you mean {near!r}?" if near else f"unknown key; known are {', '.join(sorted(known))}"


def _elsewhere(table: str, key: str, name: str) -> str:
    return f"unknown key; it belongs in [{table}]" + (f", as {name!r}" if name != key else "")


# --- what keys say of each other ------------------------------------------------------------------------------------------


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _node_tables(raw: dict[str, Any], key: str = "nodes") -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    nodes = raw.get(key)
    for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
        if isinstance(node, dict):
            yield (key, index), node


def _names(raw: dict[str, Any], original: bool) -> Iterator[Problem]:
    nodes, key = ("Nodes", "Name") if original else ("nodes", "name")
    seen: dict[str, int] = {}
    for path, node in _node_tables(raw, nodes):
        name = node.get(key)
        if isinstance(name, str) and name:
            first = seen.setdefault(name, int(path[1]))
            if first != path[1]:
                yield Problem((*path, key), f"{nodes}[{first}] has this name already")


def _sizes(pool: dict[str, Any]) -> Iterator[Problem]:
    try:
        sizes = PoolSection.model_validate(pool)
    except ValidationError:
        return
    if sizes.min_size > sizes.max_size:
        yield Problem(("pool", "min_size"), f"must not be above max_size, which is {sizes.max_size}; both are per node")


def _nodes(raw: dict[str, Any], folder: Path) -> Iterator[Problem]:
    defaults = _table(raw.get("defaults"))
    driver = _table(raw.get("cluster")).get("driver")
    yield from _pairs(("defaults",), defaults, folder)
    schemeless = False
    for path, node in _node_tables(raw):
        yield from _pairs(path, node, folder)
        if "dsn" in node:
            yield from _beside_dsn(path, node)
            continue
        if not {"host", "unix_socket"} & {*node, *defaults}:
            yield Problem(path, "needs a host, a unix_socket or a dsn")
        schemeless = schemeless or not ("scheme" in node or "scheme" in defaults)
    if schemeless and driver is None:
        yield Problem(("cluster", "driver"), f"missing; nodes without a dsn need it (it is one of {', '.join(SCHEMES)})")
    elif schemeless and isinstance(driver, str) and driver and driver not in SCHEMES:
        others = ", ".join(SCHEMES)
        yield Problem(("defaults", "scheme"), f"missing; nodes without a dsn need it if cluster.driver is none of {others}")


def _pairs(path: KeyPath, table: dict[str, Any], folder: Path) -> Iterator[Problem]:
    for first, second in _EITHER:
        if first in table and second in table:
            yield Problem((*path, second), f"not together with {first}; keep one of them")
    name = table.get("password_file")
    if isinstance(name, str) and name:
        try:
            PasswordFile(folder / name)()
        except ConfigError as exc:
            yield Problem((*path, "password_file"), str(exc))


def _beside_dsn(path: KeyPath, node: dict[str, Any]) -> Iterator[Problem]:
    for key in node:
        if key in NodeTable.model_fields and key not in _BESIDE_DSN:
            yield Problem((*path, key), "not together with dsn; say it in the dsn, or in [defaults] for all that do not say it")
    if "password_file" in node and isinstance(node["dsn"], str):
        try:
            url = parse_url(node["dsn"])
        except ConfigError:
            return
        if says(url, "password"):
            yield Problem((*path, "password_file"), "not together with a password in the dsn; keep one of them")


def _connect_options(raw: dict[str, Any]) -> Iterator[Problem]:
    for path, table in [((), raw), (("defaults",), _table(raw.get("defaults"))), *_node_tables(raw)]:
        for key in _table(table.get("connect_options")):
            if key in _NO_OPTION:
                where = "in the dsn" if "dsn" in table else "beside connect_options" if path else "in [defaults]"
                yield Problem((*path, "connect_options", key), f"no connect option here; write it {where}")
