"""One node, looked at by itself: a login, its probe and the questions of its engine. The connection is kept for what comes after.

By the driver's own connect and not by a cluster's, which would hand out no connection to a node that serves nothing. Rule:
nothing that a node does or says ends the visit with an exception; it is a fact.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ...drivers.base import Driver, Endpoint, resolve_password
from ...drivers.tls import Tls
from ...errors import ConfigError
from ...failure import FailureKind
from ...node import Node
from ...runtime.failures import describe
from . import mysql, postgres
from .facts import Failure, NodeFacts, ServerFacts
from .session import Mysql, Postgres, Session, session

__all__ = ["Visit"]

_GOODBYE = 0.5
"""Seconds for the farewell; then the socket is cut."""
_ENGINES: Mapping[type[Session], Callable[[Any], Awaitable[ServerFacts]]] = {Mysql: mysql.ask, Postgres: postgres.ask}


class Visit:
    """A look at one node. `facts` is None until it is over."""

    def __init__(self, node: Node, driver: Driver[Any], options: Mapping[str, Any]) -> None:
        """Raises `ConfigError`, as registering the node does."""
        self.name = node.name
        self.endpoint: Endpoint = driver.parse(node.dsn, {**options, **node.connect_options})
        self.facts: NodeFacts | None = None
        self.session: Session | None = None
        self.secret: str | None = None
        self._driver = driver
        self._conn: Any = None

    async def run(self, login_by: float, ask_by: float) -> None:
        """Log in and ask; by these moments of the loop's clock it is given up."""
        facts = NodeFacts(self.name, self.endpoint.address)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout_at(login_by):
                self._conn = await self.log_in()
        except Exception as exc:  # noqa: BLE001 - whatever a driver raises is a fact
            self.facts = replace(facts, failure=self._failure(exc, loop.time() - began))
            return
        facts = replace(facts, login=loop.time() - began, verified=_verifies(self.endpoint.extra))
        try:
            async with asyncio.timeout_at(ask_by):
                facts = replace(facts, observation=await self._driver.probe(self._conn, causal=False))
                self.session = session(self._conn)
                facts = replace(facts, server=await self._ask(self.session))
                facts = replace(facts, local=await _is_local(self.endpoint.address))
        except TimeoutError:
            facts = replace(facts, gap="it let us in, and answered no questions in time")
        except Exception as exc:  # noqa: BLE001 - the same
            facts = replace(facts, gap=f"not all was found out: {describe(exc, self.secret)}")
        self.facts = facts

    async def log_in(self) -> Any:
        """A new connection, the caller's own. Without a time-out; raises the driver's errors."""
        self.secret = await resolve_password(self.endpoint)
        return await self._driver.connect(self.endpoint, self.secret)

    async def close(self) -> None:
        """Close the connection that was kept."""
        self.session, conn, self._conn = None, self._conn, None
        if conn is not None:
            await self.say_goodbye(conn)

    async def say_goodbye(self, conn: Any) -> None:
        """Close a connection, within half a second."""
        try:
            async with asyncio.timeout(_GOODBYE):
                await self._driver.close(conn)
        except TimeoutError:
            pass  # a frozen server hears no farewell
        finally:
            self._driver.terminate(conn)

    def _failure(self, exc: Exception, seconds: float) -> Failure:
        if isinstance(exc, ConfigError):
            kind = FailureKind.CONFIGURATION
        elif isinstance(exc, TimeoutError) and not str(exc):  # our own
            return Failure(FailureKind.TIMEOUT, f"no answer to the login within {seconds:.1f} s")
        else:
            kind = self._driver.classify(exc)
        return Failure(kind, describe(exc, self.secret))

    async def _ask(self, db: Session) -> ServerFacts:
        ask = next(ask for kind, ask in _ENGINES.items() if isinstance(db, kind))
        server = await ask(db)
        loop = asyncio.get_running_loop()
        asked, here = loop.time(), datetime.now(UTC)
        there = await db.clock()
        doubt = (loop.time() - asked) / 2
        return replace(server, clock_offset=(there - here).total_seconds() - doubt, clock_doubt=doubt)


def _verifies(tls: object) -> bool:
    """Whether a certificate is checked, where the connection is encrypted."""
    if not isinstance(tls, Tls):
        return False
    return tls.verifies or (tls.context is not None and tls.context.verify_mode is not ssl.CERT_NONE)


async def _is_local(address: str) -> bool:
    """Whether an address that messages show is a unix socket, or loopback whichever way it is written."""
    if address.startswith("/"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass  # a name
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return all(ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback for *_, where in found)
