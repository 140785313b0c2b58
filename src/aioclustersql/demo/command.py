"""The demo as a command: arguments and exit codes.

0: it went well; 1: a connect or a write failed; 2: it cannot run here; 130 and 143: ended by SIGINT and SIGTERM. Whatever
happens, the servers end and their folders go. What needs the extra is imported late, so that its absence is an error that helps.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import logging
import sys
from collections.abc import Sequence

from .ending import Ending

__all__ = ["main"]

_NEEDED = ("asyncpg", "rich")


def _arguments(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Start a PostgreSQL primary and two standbys, connect and write on and on, kill a standby, freeze the "
        "primary, promote the other standby.",
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to play, servers' start not counted (default: 15)")
    parser.add_argument(
        "--workers", type=int, default=4, help="how many connect, and how many write, at the same time (default: 4)"
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of the live view")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON on standard output; lines go to standard error")
    options = parser.parse_args(argv)
    if not (options.seconds > 0 and options.workers > 0):
        parser.error("--seconds and --workers are numbers above 0")
    return options


def _complain(text: object) -> int:
    print(f"aioclustersql.demo: {text}", file=sys.stderr)  # noqa: T201
    return 2


async def _play(options: argparse.Namespace) -> int:
    from rich.console import Console

    from . import show
    from .binaries import ServerError, find_programs, version
    from .postgres import PostgresCluster
    from .story import Story, to_the_end

    plain = options.plain or options.json
    console = Console(force_terminal=False if plain else None, width=None if sys.stdout.isatty() else 110, stderr=options.json)
    # what the library logs is shown as events; a line on standard error would tear the live view
    silence = logging.NullHandler()
    logging.getLogger("aioclustersql").addHandler(silence)
    servers = PostgresCluster(standbys=2)
    try:
        try:
            console.out(f"starting PostgreSQL {version(find_programs())}: a primary and two standbys ...", highlight=False)
            await to_the_end(servers.start)
        except ServerError as error:
            return _complain(error)
        with show.make_view(console) as view:
            story = Story(servers, view, seconds=options.seconds, workers=options.workers)
            await story.play()
        score = story.score
        passed = score.made > 0 and score.written > 0 and not (score.failed or score.unwritten)
        show.final_table(console, story.cluster.stats(), score, passed=passed)
        if options.json:
            print(json.dumps({"ok": passed, **score.as_dict()}))  # noqa: T201
        return 0 if passed else 1
    finally:
        logging.getLogger("aioclustersql").removeHandler(silence)
        await to_the_end(servers.stop)


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m aioclustersql.demo") -> int:
    """Run the demo and return the exit code. `prog` is what its help calls it."""
    try:
        options = _arguments(argv, prog)
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            return _complain(f"{' and '.join(missing)} is missing: pip install 'aioclustersql[demo]'")
        with Ending() as ending:
            return asyncio.run(ending.watch(lambda: _play(options)))
    except KeyboardInterrupt:  # before anything was started
        return 130
