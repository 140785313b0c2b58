"""The commands and their options: what they take, what they say of themselves, and which room does the work.

Rule: nothing of the library but its version is imported before a command runs, so that --help and completion are quick.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
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


class What(StrEnum):
    """What `bench` measures."""

    CONNECTS = "connects"
    LEASES = "leases"


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


@app.command()
def watch(
    where: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG.TOML|URL",
            help="The file that names the nodes, else $DBCONFIG, else ./config.toml; or where a process serves its status app.",
            show_default=False,
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show how things are, and exit: 1 when a cluster is not ready.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every message as a line of JSON.")] = False,
) -> None:
    """See live what each node does: health, role, lag, leases, latency, and why.

    From a file, it opens a cluster of its own, which asks the nodes and lends no connections. From a status URL, it shows what
    the process there sees. On a terminal it draws a table; elsewhere it prints lines.
    """
    from .watch.command import watch_cluster

    watch_cluster(where, once=once, as_json=as_json)


@app.command()
def serve(
    config: Config = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0: any that is free.")] = 8765,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the token by which nodes can be drained, resumed and expired; without one nobody can.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it serves as a line of JSON.")] = False,
) -> None:
    """Serve the status page, the probes and the metrics of the cluster, on loopback.

    The token may also be in $AIOCLUSTERSQL_TOKEN. It is never taken from the command line, where others could read it.
    """
    from .serve import serve_status

    token = os.environ.get("AIOCLUSTERSQL_TOKEN")
    serve_status(config, host=host, port=port, token=token, token_file=token_file, as_json=as_json)


@app.command()
def bench(
    config: Config = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to measure, in all.")] = 10.0,
    workers: Annotated[int, typer.Option(min=1, help="How many connect, or lease, at the same time.")] = 4,
    target: Annotated[
        str | None, typer.Option(help="Which node is wanted, in libpq's words; else what the file says.", show_default=False)
    ] = None,
    which: Annotated[What | None, typer.Option("--only", help="One of the two.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Measure connects and leases on the cluster: percentiles, a histogram, and each node's share.

    It logs in as fast as the servers allow, and leases as many connections as the pool may have: not while others need them.
    Nothing is read or written.
    """
    from .bench.command import bench_cluster

    bench_cluster(
        config, seconds=seconds, workers=workers, target=target, which=None if which is None else which.value, as_json=as_json
    )


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to play, the servers' start not counted.")] = 15.0,
    workers: Annotated[int, typer.Option(min=1, help="How many connect, and how many write, at the same time.")] = 4,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of the live view.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The outcome as JSON; lines go to standard error.")] = False,
) -> None:
    """Watch a cluster lose nodes: a PostgreSQL primary and two standbys on this machine, started and stopped for it.

    Workers connect and write on and on, while a standby is killed, the primary freezes, and the other standby is promoted. Needs
    the extra `demo`.
    """
    from ..demo.command import main

    chosen = [*(["--plain"] if plain else []), *(["--json"] if as_json else [])]
    raise typer.Exit(main(["--seconds", str(seconds), "--workers", str(workers), *chosen]))
