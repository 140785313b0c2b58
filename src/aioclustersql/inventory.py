"""The three forms of `nodes=` (a URL, a mapping, `Node` values), made into `Node` values. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from .dsn import redact, split_hosts
from .errors import ConfigError
from .node import Node, Target

__all__ = ["Inventory", "Nodes", "read_nodes"]

Nodes = str | Mapping[str, str] | Iterable[Node]
"""A URL whose comma-separated hosts are the nodes; names with their URLs; or `Node` values."""

_DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432, "mysql": 3306, "mariadb": 3306}
_TARGET_OPTION = "target_session_attrs"


@dataclass(frozen=True, slots=True)
class Inventory:
    """The nodes, and the target that a URL of several hosts asks for."""

    nodes: tuple[Node, ...]
    target: Target | None = None


def read_nodes(nodes: Nodes) -> Inventory:
    """`Node` values out of any form of `nodes=`. Raises `ConfigError`."""
    if isinstance(nodes, str):
        return _from_url(nodes)
    if isinstance(nodes, Mapping):
        return Inventory(tuple(Node(name, dsn) for name, dsn in nodes.items()))
    listed = tuple(nodes)
    for node in listed:
        if not isinstance(node, Node):
            raise ConfigError(
                "nodes= takes one URL (several hosts with commas between), a mapping of names to URLs, or Node values; "
                f"not a sequence with a {type(node).__name__}"
            )
    return Inventory(listed)


def _from_url(url: str) -> Inventory:
    target, url = _take_target(url)
    scheme = url.partition("://")[0].lower().partition("+")[0]
    nodes = []
    for host, dsn in split_hosts(url):
        has_port = host.rpartition(":")[2].isdigit() and not host.endswith("]")
        port = _DEFAULT_PORTS.get(scheme)
        nodes.append(Node(host if has_port or port is None or "%" in host else f"{host}:{port}", dsn))
    return Inventory(tuple(nodes), target)


def _take_target(url: str) -> tuple[Target | None, str]:
    """libpq's option that says which node is wanted: here it sets the cluster's default target."""
    base, question, query = url.partition("?")
    kept: list[str] = []
    found: list[str] = []
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if unquote(key) == _TARGET_OPTION:
            found.append(unquote(value))
        else:
            kept.append(pair)
    if not found:
        return None, url
    if len(found) > 1:
        raise ConfigError(f"{redact(url)!r}: the option {_TARGET_OPTION!r} is given twice")
    rest = "&".join(kept)
    return Target.parse(found[0]), base + (question + rest if rest else "")
