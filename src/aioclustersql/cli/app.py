"""The commands and their options: what they take, what they say of themselves, and which room does the work.

Rule: nothing of the library but its version is imported before a command runs, so that --help and completion are quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__
from .running import Exit

__all__ = ["app", "run"]

_EXITS = "\n\n".join(f"{code.value}: {text}" for code, text in Exit.meanings().items())

app = typer.Typer(
    name="aioclustersql",
    help="Look at a cluster of SQL servers the way the library does.",
    epilog=f"Exit codes:\n\n{_EXITS}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[
    Path | None,
    typer.Argument(
        metavar="CONFIG.TOML", help="The file that names the nodes; else $DBCONFIG, else ./config.toml.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text for people.")]


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    try:
        app(list(arguments), prog_name="aioclustersql")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(Exit.OK if end.code is None else Exit.USAGE)
    return Exit.OK


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aioclustersql {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def check(
    config: Config = None,
    processes: Annotated[
        int, typer.Option(min=1, help="How many processes of the application will connect, for max_connections.")
    ] = 1,
    write: Annotated[
        bool,
        typer.Option(
            "--write/--no-write", help="Make tables, named aioclustersql_check_..., and see that rows arrive on every node."
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Look at every node before it goes into production: 1 when something will not work.

    Each node's address, TLS, login time, version, role, readiness, lag, clock and settings that will hurt; then the acceptance
    list through the cluster, and whether rows that are written through each node arrive on the others. All nodes are looked at at
    the same time, within the connect time-out and a second. The tables that it makes are dropped, also on Ctrl-C.
    """
    from .check.command import check_cluster

    check_cluster(config, processes=processes, write=write, as_json=as_json)
