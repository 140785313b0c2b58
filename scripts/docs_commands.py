"""The parts of the pages in docs/ that are made from the command line's own code. Rule: as in `docs_parts`."""

from __future__ import annotations

import inspect
from typing import Any

import typer.main

from aioclustersql.cli.app import app
from aioclustersql.cli.check.findings import MEANINGS
from aioclustersql.cli.running import Exit

from .docs_parts import _table as table

__all__ = ["commands", "exits", "findings"]


def commands() -> str:
    """Each command: what it says of itself, and its arguments and options."""
    group: Any = typer.main.get_command(app)
    parts = []
    for name, command in group.commands.items():
        text = inspect.cleandoc(command.help)
        arguments = "".join(f" [{each.metavar}]" for each in command.params if each.param_type_name == "argument")
        rows = [[_names(each), _default(each), each.help] for each in command.params if each.name != "help"]
        head = f"## {name}\n\n```sh\naioclustersql {name}{arguments} [OPTIONS]\n```\n\n{text}\n"
        parts.append(f"{head}\n{table(['option', 'default', 'meaning'], rows)}\n")
    return "\n".join(parts)


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar.replace('|', '` or `')}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    if parameter.default is None or parameter.default is False:
        return ""
    return f"`{parameter.opts[0]}`" if parameter.default is True else f"`{parameter.default}`"


def exits() -> str:
    """The exit codes."""
    return table(["code", "when"], [[str(code.value), text] for code, text in Exit.meanings().items()])


def findings() -> str:
    """What `check` can find."""
    rows = [[f"`{code}`", str(severity), text] for code, (severity, text) in MEANINGS.items()]
    return table(["code", "severity", "what was found"], rows)
