"""How a check is shown: a table of the nodes, the findings with what to do, and the verdict; or all of it as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..running import printable
from .facts import ClusterFacts, NodeFacts
from .findings import Finding, Severity

__all__ = ["as_dict", "show"]

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def show(console: Console, facts: ClusterFacts, findings: Sequence[Finding]) -> None:
    """Print everything."""
    plain = console.options.ascii_only or not console.is_terminal
    table = Table(box=box.ASCII if plain else box.ROUNDED, header_style="bold")
    for name in ("node", "address", "TLS", "login", "server", "role", "ready", "lag", "clock"):
        table.add_column(name, no_wrap=name in ("node", "login", "lag", "clock"), justify="right" if name == "login" else "left")
    for node in facts.nodes:
        table.add_row(*(Text(printable(cell)) for cell in _cells(node)))
    console.print(table)
    for finding in findings:
        where = f"{finding.node}: " if finding.node else ""
        head = (f"{finding.severity} ", _STYLES[finding.severity])
        console.print(Text.assemble(head, (f"[{finding.code}] ", "dim"), printable(f"{where}{finding.text}")), soft_wrap=True)
        console.print(Text(f"    {finding.advice}", "dim"), soft_wrap=True)
    console.print(Text(_verdict(findings), "bold red" if _count(findings, Severity.ERROR) else "bold green"))


def as_dict(facts: ClusterFacts, findings: Sequence[Finding], seconds: float) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "ok": not _count(findings, Severity.ERROR),
        "seconds": round(seconds, 3),
        "nodes": [_plain(node) for node in facts.nodes],
        "findings": [finding.as_dict() for finding in findings],
    }


def _count(findings: Sequence[Finding], severity: Severity) -> int:
    return sum(finding.severity is severity for finding in findings)


def _verdict(findings: Sequence[Finding]) -> str:
    counted = [(severity, _count(findings, severity)) for severity in Severity]
    said = ", ".join(f"{count} {severity}{'s' if count > 1 else ''}" for severity, count in counted if count)
    return said or "all is well"


def _cells(node: NodeFacts) -> Sequence[str]:
    seen, server = node.observation, node.server
    return (
        node.name,
        node.address,
        "-" if server is None else server.tls or "no",
        "-" if node.login is None else f"{node.login * 1000:.1f} ms",
        "-" if server is None else server.version,
        "-" if seen is None else str(seen.role),
        "-" if seen is None else "no" if not seen.ready else "degraded" if seen.degraded else "yes",
        "-" if seen is None or seen.lag is None else f"{seen.lag:.1f} s",
        "-" if server is None else f"{server.clock_offset:+.3f} s",
    )


def _plain(node: NodeFacts) -> dict[str, Any]:
    seen, server = node.observation, node.server
    return {
        "name": node.name,
        "address": node.address,
        "login": node.login,
        "error": None if node.failure is None else node.failure.text,
        "tls": server and server.tls,
        "version": server and server.version,
        "role": seen and str(seen.role),
        "ready": seen is not None and seen.ready,
        "degraded": seen is not None and seen.degraded,
        "lag": seen and seen.lag,
        "clock_offset": server and server.clock_offset,
        "max_connections": server and server.max_connections,
    }
