"""How a command ends: its exit code, its complaints, and an orderly end at SIGINT and SIGTERM.

Rule: an error of the configuration is one message, without a traceback and without a secret.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum
from typing import NoReturn, TypeVar

import typer
from rich.console import Console

from ..demo.ending import Ending
from ..errors import ConfigError

__all__ = ["Exit", "complain", "configured", "console", "finish", "print_json", "printable"]

T = TypeVar("T")

_WIDTH = 140
"""Columns where there is no terminal to ask."""


class Exit(IntEnum):
    """What a command ends with; `meanings` says when."""

    OK = 0
    FOUND = 1
    USAGE = 2
    INTERRUPTED = 130
    TERMINATED = 143

    @classmethod
    def meanings(cls) -> Mapping[Exit, str]:
        """Each code in words, for the help and the reference."""
        return {
            cls.OK: "it went well, and nothing is wrong",
            cls.FOUND: "check: a finding of severity error; watch --once: not every cluster is ready; watch: the status URL does "
            "not answer; bench: connects or leases failed; serve: the port is taken; demo: a connect or a write failed",
            cls.USAGE: "the command line or the configuration is wrong, or a package is missing",
            cls.INTERRUPTED: "Ctrl-C: everything is closed, and what was made is gone",
            cls.TERMINATED: "SIGTERM: the same",
        }


def console(*, stderr: bool = False) -> Console:
    """Where to print."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _WIDTH, highlight=False)


def print_json(value: object, *, lines: bool = False) -> None:
    """A value on standard output; `lines`: on one line, at once."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=None if lines else 2))
    if lines:
        sys.stdout.flush()


def printable(text: str) -> str:
    """A text that a server may have written, without what would move a terminal's cursor or change its colours."""
    return "".join(each if each.isprintable() else " " if each.isspace() else "\N{REPLACEMENT CHARACTER}" for each in text)


def complain(message: object, *, as_json: bool, code: Exit = Exit.USAGE) -> Exit:
    """Say what is wrong, in one message; returns the code to end with."""
    if as_json:
        print_json({"ok": False, "error": str(message)}, lines=True)
    else:
        typer.echo("\n".join(map(printable, f"aioclustersql: {message}".splitlines())), err=True)
    return code


def configured(make: Callable[[], T], *, as_json: bool) -> T:
    """What `make` makes of a configuration; its error ends the command."""
    try:
        return make()
    except ConfigError as exc:
        raise typer.Exit(complain(exc, as_json=as_json)) from None


def finish(work: Callable[[], Awaitable[int]]) -> NoReturn:
    """Run a command's work to its end, which Ctrl-C brings about too, in order; then exit."""
    # The library's log would tear the live view, and says nothing that the commands do not show.
    silence = logging.NullHandler()
    logging.getLogger("aioclustersql").addHandler(silence)
    try:
        with Ending() as ending:
            raise typer.Exit(asyncio.run(ending.watch(work)))
    finally:
        logging.getLogger("aioclustersql").removeHandler(silence)
