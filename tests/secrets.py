"""Passwords planted wherever one may be: in URLs, options, functions, and in what servers say; and the search for them.

plant = Plant()
cluster = plant.cluster()      # over fake servers that say the passwords back in every error
... provoke errors ...
plant.assert_hidden(text, ...)   # str(), JSON, bytes of a page or a scrape, log text, reprs
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

from aioclustersql import Cluster, Node
from aioclustersql.events import Event
from aioclustersql.failure import FailureKind
from aioclustersql.testing import FakeConnection, FakeDriver, FakeError, FakeServer

__all__ = ["SECRETS", "Plant"]

SECRETS = {"url": "url-s3cr3t-p4ss", "option": "opt-s3cr3t-p4ss", "function": "fun-s3cr3t-p4ss"}
"""Where each password is given."""
_MARK = "s3cr3t"


def _echo(name: str) -> str:
    return f"no entry for app with {SECRETS[name]}"


class Plant:
    """Three nodes, each with its password given in another way. `echo`: every login fails, and says its password back.

    The statement FAIL fails so always; as a deadlock does, so that `run` repeats its unit.
    """

    def __init__(self, *, echo: bool = True) -> None:
        self.driver = FakeDriver(*(FakeServer(name, 0.125) for name in SECRETS))
        self.events: list[Event] = []
        for server in self.driver:
            server.outcome = RuntimeError(_echo(server.name)) if echo else "ok"
            server.on_execute = self._answer

    @staticmethod
    def _answer(conn: FakeConnection, sent: str, _args: tuple[object, ...]) -> None:
        if sent == "FAIL":
            raise FakeError(FailureKind.ROLLED_BACK, _echo(conn.server.name))

    def let_in(self) -> None:
        """From now on logins succeed."""
        for server in self.driver:
            server.outcome = "ok"

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as they are configured."""
        given: dict[str, tuple[str, dict[str, Any]]] = {
            "url": (f"fake://app:{SECRETS['url']}@url/test", {}),
            "option": ("fake://app@option/test", {"password": SECRETS["option"]}),
            "function": ("fake://app@function/test", {"password": self._password}),
        }
        return tuple(Node(name, dsn, connect_options=options) for name, (dsn, options) in given.items())

    def cluster(self, **settings: Any) -> Cluster[FakeConnection]:
        """A cluster over the nodes, whose events are kept."""
        cluster: Cluster[FakeConnection] = Cluster(self.nodes, driver=self.driver, **settings)
        cluster.subscribe(self.events.append)
        return cluster

    @staticmethod
    def _password() -> str:
        return SECRETS["function"]

    def shown(self, cluster: Cluster[FakeConnection], *more: object) -> str:
        """All that the cluster itself shows, and more."""
        stats = cluster.stats()
        return "\n".join([repr(cluster), repr(stats), json.dumps(stats.as_dict()), *map(repr, self.events), *map(_text, more)])

    def assert_hidden(self, *shown: object) -> None:
        """No planted password is in any of these."""
        for each in shown:
            text = _text(each)
            at = text.find(_MARK)
            assert at < 0, f"a password is shown: ...{text[max(0, at - 80) : at + 20]}..."


def _text(value: object) -> str:
    kinds: dict[type, Callable[[Any], str]] = {str: str, bytes: bytes.decode}
    if isinstance(value, BaseException):
        return "".join(traceback.format_exception_only(value))
    return kinds.get(type(value), repr)(value)
