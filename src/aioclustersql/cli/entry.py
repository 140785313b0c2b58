"""The entry point `aioclustersql`: quiet at Ctrl-C from the first moment, and clear about a missing extra. Commands: `app`."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["main"]

_NEEDED = ("typer", "rich", "httpx", "starlette", "jinja2", "uvicorn", "prometheus_client")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (default: this process's) and return its exit code."""
    if arguments is None:
        # A process of its own, that has started nothing yet: a KeyboardInterrupt during the imports would be a traceback.
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    missing = [name for name in _NEEDED if sys.modules.get(name, name) is None or importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        sys.stderr.write(f"aioclustersql: the command line needs {names}: pip install 'aioclustersql[cli]'\n")
        return 2
    from .app import run

    return run(sys.argv[1:] if arguments is None else arguments)
