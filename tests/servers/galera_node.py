"""One Galera node: a MariaDB process of its own on loopback, and what can befall it.

Everything here blocks: from a coroutine call `asyncio.to_thread(node.restart)`. A whole cluster is in `galera.py`.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pymysql

from tests.servers.galera_install import PASSWORDS, PROVIDER, SERVER_USER, SMALL, ServerError, environment, find_program
from tests.servers.workspace import workspace

# Further ports of a node, as distances from its own: root's entrance, replication, and the two ways of state transfer.
# All must stay below 32768, or a client's ephemeral port may take one.
ADMIN, GROUP, STATE, SNAPSHOT = 1000, 1100, 1200, 1300

_connect: Any = pymysql.connect


def quoted(names: Iterable[str]) -> str:
    """The names as a list for SQL's IN."""
    return "(" + ", ".join(f"'{name}'" for name in names) + ")"


class GaleraNode:
    """One node: a MariaDB process of its own, with its own data directory."""

    host = "127.0.0.1"

    def __init__(self, port: int, members: Sequence[int], folder: Path, options: Sequence[str], evs: Mapping[str, str]) -> None:
        """The members are the ports of all nodes, this one's included; the folder is the cluster's."""
        self.name = f"node{members.index(port) + 1}"
        self.port = port
        self.data = folder / self.name
        self._members = members
        self._folder = folder
        self._options = options
        self._evs = evs
        self.peers: Sequence[GaleraNode] = ()
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<GaleraNode {self.name} {self.host}:{self.port} {'alive' if self.is_alive else 'dead'}>"

    @property
    def is_alive(self) -> bool:
        """Whether the process exists, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def dsn(self, user: str = "root", scheme: str = "mysql", database: str = "test") -> str:
        """The node's URL for one of the users in `PASSWORDS`."""
        password = PASSWORDS[user]
        return f"{scheme}://{user}{':' if password else ''}{password}@{self.host}:{self.port}/{database}"

    def sql(self, query: str, timeout: float = 5.0) -> tuple[tuple[Any, ...], ...]:
        """Run one statement as root and return its rows; works even when the clients use up all connections."""
        connection = _connect(
            host=self.host,
            port=self.port + ADMIN,
            user="root",
            ssl_disabled=True,  # else every login loads the certificate store, in 30 ms
            autocommit=True,
            connect_timeout=timeout,
            read_timeout=timeout,
            write_timeout=timeout,
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(query)
                return tuple(cursor.fetchall())
        finally:
            connection.close()

    def status(self, *names: str) -> dict[str, Any]:
        """The global status variables of these names, or all of them; whole numbers as `int`, the rest as `str`."""
        rows = self.sql("SHOW GLOBAL STATUS" + (f" WHERE variable_name IN {quoted(names)}" if names else ""))
        asked = {name.lower(): name for name in names}
        return {asked.get(name.lower(), name): int(value) if value.isdigit() else value for name, value in rows}

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal, and wait for the end or the stop that it brings."""
        if not self.is_alive or self._process is None:
            return
        self._process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self._process.wait(60)
        elif number == signal.SIGSTOP:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def kill9(self) -> None:
        """Die at once, as by the kernel's out-of-memory killer; the sockets are closed for it."""
        self.kill(signal.SIGKILL)

    def terminate(self) -> None:
        """Shut down in order: the node leaves the cluster, and clients get an error or the end of the stream."""
        self.kill(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop the process: connections stay open and new ones are accepted by the kernel, but nothing answers."""
        self.kill(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.kill(signal.SIGCONT)

    def isolate(self, timeout: float = 20.0) -> None:
        """Cut the node off from the others, not from its clients; returns when it has left the primary component."""
        self.sql("SET GLOBAL wsrep_provider_options='gmcast.isolate=1'")
        deadline = time.monotonic() + timeout
        while self.status("wsrep_cluster_status")["wsrep_cluster_status"] == "Primary":
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} is still in the primary component {timeout:g} s after it was isolated")
            time.sleep(0.02)

    def rejoin(self) -> None:
        """End the isolation; returns when the node is synced."""
        self.sql("SET GLOBAL wsrep_provider_options='gmcast.isolate=0'")
        self.wait_synced()

    def restart(self, wait: bool = True) -> None:
        """Start a dead node again where InnoDB left off, and wait until it is synced."""
        position = self.recovered_position()
        self._wait_until_missed()
        self.launch(f"--wsrep-start-position={position}")
        if wait:
            self.wait_synced()

    def recovered_position(self) -> str:
        """Where InnoDB left off, of a dead node: after a kill nothing else knows, and it would ask for a copy of everything."""
        recovery = subprocess.run(
            self._command("--wsrep-recover", log=False), capture_output=True, text=True, timeout=60, check=False
        )
        position = re.search(r"Recovered position: (\S+)", recovery.stderr)
        if position is None:
            raise ServerError(f"{self.name} could not recover its position:\n{recovery.stderr[-2000:]}")
        return position[1]

    def _wait_until_missed(self, timeout: float = 10.0) -> None:
        """Wait until the others have noticed the death: a node that is back before is kept waiting for twice as long."""
        peers = [node for node in self.peers if node.is_alive]
        deadline = time.monotonic() + timeout
        while peers and time.monotonic() < deadline:
            with contextlib.suppress(pymysql.err.MySQLError):
                if peers[0].status("wsrep_cluster_size")["wsrep_cluster_size"] <= len(peers):
                    return
            time.sleep(0.02)

    def is_synced(self, size: int) -> bool:
        """Whether the node takes work and sees so many nodes, itself included, in its cluster."""
        seen = self.status("wsrep_cluster_size", "wsrep_local_state", "wsrep_ready")
        return seen == {"wsrep_cluster_size": size, "wsrep_local_state": 4, "wsrep_ready": "ON"}

    def wait_synced(self, size: int | None = None, timeout: float = 30.0) -> None:
        """Wait until the node is synced in a cluster of so many nodes (default: all) and takes a causal read."""
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(pymysql.err.MySQLError):
                if self.is_synced(size or len(self._members)):
                    return self.causal_read()
            if self._process is not None and self._process.poll() is not None:
                raise ServerError(f"{self.name} ended with {self._process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} is not synced after {timeout:g} s:\n{self.log()}")
            time.sleep(0.02)

    def causal_read(self) -> None:
        """Fail unless the node takes part: for some time after a thaw its status still claims to."""
        self.sql("SET STATEMENT wsrep_sync_wait=1 FOR SELECT 1", timeout=2.0)

    def log(self) -> str:
        """The last lines of the error log."""
        try:
            return "\n".join((self.data / "error.log").read_text(errors="replace").splitlines()[-25:])
        except FileNotFoundError:
            return "(no error log)"

    def launch(self, *options: str) -> None:
        """Start the process; `restart` and the cluster's `start` are what tests want."""
        self._process = subprocess.Popen(
            self._command(*options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=workspace().process_group,
            env={**environment(), "SNAPSHOT_FOLDER": str(self._folder)},
        )

    def _command(self, *options: str, log: bool = True) -> list[str]:
        group, state, snapshot = (f"{self.host}:{self.port + distance}" for distance in (GROUP, STATE, SNAPSHOT))
        provider = {
            "base_port": str(self.port + GROUP),
            "gmcast.listen_addr": f"tcp://{group}",
            "ist.recv_addr": state,
            "gcache.size": "8M",
            "gcache.page_size": "8M",
            **self._evs,
        }
        return [
            find_program("mariadbd"),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
            f"--extra-port={self.port + ADMIN}",
            "--extra-max-connections=10",
            "--socket=socket",
            "--pid-file=pid",
            *(["--log-error=error.log"] if log else []),
            *([f"--user={SERVER_USER}"] if SERVER_USER else []),
            *SMALL,
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--wsrep-on=ON",
            f"--wsrep-provider={PROVIDER}",
            "--wsrep-provider-options=" + ";".join(f"{key}={value}" for key, value in provider.items()),
            "--wsrep-cluster-name=tests",
            "--wsrep-cluster-address=gcomm://" + ",".join(f"{self.host}:{port + GROUP}" for port in self._members),
            f"--wsrep-node-name={self.name}",
            f"--wsrep-node-address={group}",
            f"--wsrep-node-incoming-address={self.host}:{self.port}",
            "--wsrep-sst-method=local",
            f"--wsrep-sst-receive-address={snapshot}",
            *self._options,
            *options,
        ]
