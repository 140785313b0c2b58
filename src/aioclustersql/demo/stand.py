"""`python -m aioclustersql.demo.stand`: three PostgreSQL servers to try an application on, and a prompt to hurt them by.

It plays no story and uses no cluster: that is the visitor's part. Rule: however it ends, its servers end with it and their
folders go.
"""

from __future__ import annotations

import argparse
import cmd
import importlib.util
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from .pgnode import PostgresNode
    from .postgres import PostgresCluster

__all__ = ["PORTS", "Stand", "main"]

PORTS = (15431, 15432, 15433)
"""Where pg1, pg2 and pg3 listen, unless told otherwise; on 127.0.0.1 alone."""


class Stand(cmd.Cmd):
    """The prompt. Each command names a node but for `status`, `heal` and `quit`; what fails is said, and the prompt goes on."""

    prompt = "stand> "
    doc_header = "Commands (help NAME explains one):"

    def __init__(self, servers: PostgresCluster, stdin: TextIO | None = None, stdout: TextIO | None = None) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self.use_rawinput = stdin is None
        self._servers = servers

    @property
    def url(self) -> str:
        """All nodes, as an application names them."""
        hosts = ",".join(f"{node.host}:{node.port}" for node in self._servers.nodes)
        return f"postgresql://postgres@{hosts}/postgres"

    def say(self, text: str) -> None:
        """One line."""
        print(text, file=self.stdout, flush=True)

    def do_status(self, _: str) -> None:
        """status: what each node is."""
        for node in self._servers.nodes:
            state = "frozen" if node.frozen else "running" if node.running else "dead"
            self.say(f"{node.name}  {node.host}:{node.port}  {'standby' if node.is_standby else 'primary'}  {state}")

    def do_kill(self, name: str) -> None:
        """kill NODE: its processes end at once (kill -9)."""
        self._do(name, lambda node: node.kill9())

    def do_freeze(self, name: str) -> None:
        """freeze NODE: it accepts connections and never answers (SIGSTOP)."""
        self._do(name, lambda node: node.freeze())

    def do_thaw(self, name: str) -> None:
        """thaw NODE: a frozen one goes on."""
        self._do(name, lambda node: node.thaw())

    def do_start(self, name: str) -> None:
        """start NODE: one that was killed serves again, as what it was."""
        self._do(name, lambda node: node.start())

    def do_promote(self, name: str) -> None:
        """promote NODE: a standby becomes the primary."""
        self._do(name, lambda node: node.promote())

    def do_heal(self, _: str) -> None:
        """heal: all nodes as at the beginning. After a promotion the data are gone."""
        self._try(self._servers.heal)

    def do_quit(self, _: str) -> bool:
        """quit: stop the servers (so does the end of the input, or Ctrl-C)."""
        return True

    def do_EOF(self, _: str) -> bool:  # noqa: N802 - the name is cmd's
        """Control-D: as quit."""
        return True

    def emptyline(self) -> bool:
        """An empty line repeats nothing."""
        return False

    def default(self, line: str) -> None:
        """What is no command."""
        self.say(f"{line.split()[0]!r} is no command: help lists them")

    def get_names(self) -> list[str]:
        """What is listed and completed: the end of the input is no word to type."""
        return [name for name in super().get_names() if name != "do_EOF"]

    def completedefault(self, text: str, *_: object) -> list[str]:
        """The names of the nodes."""
        return [node.name for node in self._servers.nodes if node.name.startswith(text)]

    def _do(self, name: str, action: Callable[[PostgresNode], object]) -> None:
        nodes = {node.name: node for node in self._servers.nodes}
        node = nodes.get(name.strip())
        if node is None:
            self.say(f"which node? {', '.join(nodes)}")
        else:
            self._try(lambda: action(node))

    def _try(self, action: Callable[[], object]) -> None:
        from .binaries import ServerError

        try:
            action()
        except ServerError as error:
            self.say(f"not done: {error}")
        else:
            self.do_status("")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m aioclustersql.demo.stand",
        description="Start a PostgreSQL primary and two standbys on 127.0.0.1, and hurt them at a prompt.",
    )
    parser.add_argument("--ports", type=int, nargs=3, default=PORTS, metavar="PORT", help="default: 15431 15432 15433")
    return parser.parse_args(argv)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Start the servers and read commands. 0: ended by the visitor; 2: it cannot run here; 130: Ctrl-C or SIGTERM."""
    options = _arguments(argv)
    if importlib.util.find_spec("asyncpg") is None:
        print("aioclustersql.demo.stand: asyncpg is missing: pip install 'aioclustersql[demo]'", file=sys.stderr)  # noqa: T201
        return 2
    from .binaries import ServerError
    from .postgres import PostgresCluster

    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs are born deaf to the former
        signal.signal(number, _interrupt)
    try:
        with PostgresCluster(ports=options.ports) as servers:
            stand = Stand(servers)
            stand.do_status("")
            stand.say(f"use them:  {stand.url}")
            stand.cmdloop("help lists the commands; quit stops the servers.")
    except ServerError as error:
        print(f"aioclustersql.demo.stand: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
