"""A real Galera cluster of plain MariaDB processes on loopback, up in about a second.

No service, container or network namespace is needed, only the Debian packages `mariadb-server` and `galera-4`. The trick
behind the fast start: one data directory is made, stopped cleanly and copied for every node, and each copy gets the same
hand-made `gvwstate.dat`, the file that Galera writes so that a cluster which lost its power all at once finds together again
without a state transfer. Everything here blocks: from a coroutine call `asyncio.to_thread`.
"""

import contextlib
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pymysql

from tests.servers.certificates import make_certificates
from tests.servers.galera_install import (
    FAST_EVS,
    PASSWORDS,
    STATEMENTS,
    ServerError,
    copy_database,
    give_to_server,
    install_database,
    pretend_power_loss,
)
from tests.servers.galera_node import ADMIN, GROUP, SNAPSHOT, STATE, GaleraNode, quoted
from tests.servers.workspace import workspace

__all__ = ["GaleraCluster", "GaleraNode", "PortInUse", "ServerError"]

# What a test may change on a node, and what `heal` puts back.
_RESTORED = ("read_only", "wsrep_reject_queries", "wsrep_desync", "max_connections", "max_connect_errors", "wait_timeout")

_TLS_FILES = {"ca": "ca.pem", "cert": "server.pem", "key": "server.key"}


class PortInUse(ServerError):
    """Somebody else listens on a port of the cluster."""


class GaleraCluster:
    """As many nodes as there are ports, named `node1`, `node2`, … in their order."""

    def __init__(
        self,
        ports: Sequence[int] = (3301, 3302, 3303),
        *,
        default_evs: bool = False,
        skip_name_resolve: bool = True,
        performance_schema: bool = False,
        max_connections: int = 151,
        max_connect_errors: int = 100,
        tls: bool = False,
    ) -> None:
        """No process yet: `start` makes them.

        `default_evs` keeps Galera's own time-outs, by which a dead node stalls the others for six seconds and not one.
        A server never blocks 127.0.0.1; for error 1129 connect from 127.0.0.2, with `skip_name_resolve=False`.
        With `tls` the servers have a certificate for `localhost` and 127.0.0.1, issued by `tls_ca`; it is not enforced.
        """
        self.ports = tuple(ports)
        self.folder = workspace().folder / f"galera-{self.ports[0]}"
        self.tls_ca = self.folder / "tls" / "ca.pem" if tls else None
        options = [
            f"--skip-name-resolve={skip_name_resolve:d}",
            f"--performance-schema={performance_schema:d}",
            f"--max-connections={max_connections}",
            f"--max-connect-errors={max_connect_errors}",
        ]
        if tls:
            options += [f"--ssl-{kind}={self.folder}/tls/{name}" for kind, name in _TLS_FILES.items()]
        evs = {} if default_evs else FAST_EVS
        self.nodes = tuple(GaleraNode(port, self.ports, self.folder, options, evs) for port in self.ports)
        for node in self.nodes:
            node.peers = [other for other in self.nodes if other is not node]
        self._settings: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<GaleraCluster {', '.join(map(repr, self.nodes))}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start every node with fresh data and wait until all are synced."""
        self._check_ports()
        try:
            self.folder.mkdir()
            give_to_server(self.folder)
            if self.tls_ca:
                give_to_server(make_certificates(self.tls_ca.parent).key)
            self._start_afresh()
            self._settings = _settings(self.nodes[0])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill every node and remove its data."""
        self._kill_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    def heal(self, timeout: float = 20.0) -> None:
        """Back to synced, writable nodes without clients, whatever a test did, in 0.02 s when nothing is wrong.

        What tests wrote stays, unless so many nodes died that the cluster has to start afresh.
        """
        for node in self.nodes:
            node.thaw()
        dead = [node for node in self.nodes if not node.is_alive]
        try:
            if 2 * len(dead) >= len(self.nodes):
                raise ServerError(f"no majority is left to join: {self!r}")
            for node in dead:
                node.restart(wait=False)
            self._reunite(time.monotonic() + timeout)
        except ServerError:
            self._kill_all()
            self._start_afresh()

    def restart_all(self) -> None:
        """Start all nodes again when all are dead: they find together with the data that they have, as after a power failure.

        Those that died while one of them was parting or joining would remember different clusters, and wait for each other in
        vain: all are told of the same one.
        """
        positions = [node.recovered_position() for node in self.nodes]
        for node, member, position in zip(self.nodes, self._members, positions, strict=True):
            pretend_power_loss(node.data, self._members, member)
            node.launch(f"--wsrep-start-position={position}")
        for node in self.nodes:
            node.wait_synced()

    @property
    def _members(self) -> list[str]:
        """What each node is called in the cluster that they believe they were."""
        return [f"{number}0000000-0000-11f1-8000-00000000000{number}" for number in range(1, len(self.nodes) + 1)]

    def _start_afresh(self) -> None:
        template = _template(self.nodes[0])
        for node, member in zip(self.nodes, self._members, strict=True):
            copy_database(template, node.data)
            if len(self.nodes) == 1:
                node.launch("--wsrep-new-cluster")
            else:
                pretend_power_loss(node.data, self._members, member)
                node.launch()
        for node in self.nodes:
            node.wait_synced()

    def _kill_all(self) -> None:
        for node in self.nodes:
            node.kill9()

    def _reunite(self, deadline: float) -> None:
        """Undo what was set on the nodes, and wait until all of them are well at the same time."""
        size = len(self.nodes)
        released: set[str] = set()
        while True:
            ill = [node for node in self.nodes if not self._is_well(node, size, released)]
            if not ill:
                return
            if time.monotonic() > deadline or not all(node.is_alive for node in self.nodes):
                raise ServerError(f"{ill[0].name} does not heal:\n{ill[0].log()}")
            time.sleep(0.05)

    def _is_well(self, node: GaleraNode, size: int, released: set[str]) -> bool:
        try:
            for name, value in _settings(node).items():
                if value != self._settings[name]:
                    node.sql(f"SET GLOBAL {name} = {_literal(self._settings[name])}")
            if node.status("wsrep_ready")["wsrep_ready"] == "OFF" and node.name not in released:
                released.add(node.name)
                node.sql("SET GLOBAL wsrep_provider_options='gmcast.isolate=0'")
            if not node.is_synced(size):
                return False
            node.causal_read()
            _drop_clients(node)
            node.sql("FLUSH LOCAL HOSTS")
        except pymysql.err.MySQLError:
            return False
        return True

    def _check_ports(self, patience: float = 2.0) -> None:
        """Fail early and name the port; the servers of a run that crashed a moment ago are given time to go."""
        deadline = time.monotonic() + patience
        for port in (port + distance for port in self.ports for distance in (0, ADMIN, GROUP, STATE, SNAPSHOT)):
            while (error := _error_of_port(port)) is not None:
                if time.monotonic() > deadline:
                    raise PortInUse(f"The Galera cluster needs port {port} of {GaleraNode.host}: {error.strerror}") from error
                time.sleep(0.05)


def _error_of_port(port: int) -> OSError | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((GaleraNode.host, port))
        except OSError as error:
            return error
    return None


def _template(node: GaleraNode) -> Path:
    """The data directory that all nodes start from: made once in a run, on this node's ports, in about a second."""
    template = workspace().folder / "galera-template"
    if not template.exists():
        install_database(node.data)
        node.launch("--wsrep-new-cluster")
        node.wait_synced(size=1)
        for statement in STATEMENTS:
            node.sql(statement)
        node.terminate()  # in order, so that grastate.dat tells the position
        for name in ("error.log", "galera.cache", "gvwstate.dat"):
            (node.data / name).unlink(missing_ok=True)
        node.data.rename(template)
    return template


def _settings(node: GaleraNode) -> dict[str, str]:
    return dict(node.sql(f"SELECT * FROM information_schema.global_variables WHERE variable_name IN {quoted(_RESTORED)}"))


def _literal(value: str) -> str:
    return value if value.isdigit() else f"'{value}'"


def _drop_clients(node: GaleraNode) -> None:
    """Cut what a test left connected: an open transaction would hold its locks into the next test."""
    left = node.sql(f"SELECT id FROM information_schema.processlist WHERE user IN {quoted(PASSWORDS)} AND id <> connection_id()")
    for (number,) in left:
        with contextlib.suppress(pymysql.err.MySQLError):  # it may be leaving by itself
            node.sql(f"KILL {number}")
