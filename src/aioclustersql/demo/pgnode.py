"""One PostgreSQL server process: started, asked, frozen, killed, promoted, joined again.

Every call blocks, for milliseconds mostly and never without a bound; from a coroutine use `asyncio.to_thread` where that
matters.
"""

from __future__ import annotations

import csv
import io
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from . import processes
from .binaries import ServerError
from .pgsettings import quoted

if TYPE_CHECKING:
    from .postgres import PostgresCluster

__all__ = ["PostgresNode", "StopMode"]

StopMode = Literal["smart", "fast", "immediate"]
_STOP_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}


class PostgresNode:
    """One server of a `PostgresCluster`. `name` is pg1, pg2 ...; it listens on `host`:`port`."""

    def __init__(self, cluster: PostgresCluster, name: str, port: int) -> None:
        self.name = name
        self.host = "127.0.0.1"
        self.port = port
        self.data = cluster.folder / name
        self.log = cluster.folder / f"{name}.log"
        self.frozen = False
        self.promotions = 0
        """0, or this node's place in the order of the cluster's promotions."""
        self._cluster = cluster
        self._settings: dict[str, object] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        state = "frozen" if self.frozen else "running" if self.running else "stopped"
        role = "standby" if self.is_standby else "primary"
        return f"<PostgresNode {self.name} {self.host}:{self.port} {role} {state}>"

    @property
    def running(self) -> bool:
        """Whether the process lives; a frozen one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id. Raises `ServerError` when it is not running."""
        if self._process is None or self._process.poll() is not None:
            raise ServerError(f"{self.name} is not running")
        return self._process.pid

    @property
    def is_standby(self) -> bool:
        """Whether the node is, or when started would be, a standby. Read from its data folder, so it is free of charge."""
        return (self.data / "standby.signal").exists()

    @property
    def changed(self) -> bool:
        """Whether `set` has changed settings since the cluster was built."""
        return bool(self._settings)

    def dsn(self, user: str = "postgres", database: str = "postgres", password: str | None = None) -> str:
        """The node's URL. The superuser's password is filled in where the cluster has one."""
        if password is None and user == "postgres":
            password = self._cluster.password
        secret = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{quote(user, safe='')}{secret}@{self.host}:{self.port}/{quote(database, safe='')}"

    def sql(self, query: str, *, database: str = "postgres", timeout: float = 10.0) -> list[tuple[str, ...]]:
        """Run SQL as the superuser and return the rows as text (NULL is ""). Raises `ServerError` also after `timeout` s."""
        command = [
            self._program("psql"),
            *self._target(database),
            *["-Xqt", "--csv", "-v", "ON_ERROR_STOP=1", "-c"],
            query,
        ]
        env = self._secret() | {"PGCONNECT_TIMEOUT": str(max(2, int(timeout)))}
        printed = self._cluster.account.run(command, timeout=timeout, env=env)
        return [tuple(row) for row in csv.reader(io.StringIO(printed))]

    def value(self, query: str, *, timeout: float = 10.0) -> str:
        """The first column of the first row."""
        return self.sql(query, timeout=timeout)[0][0]

    def start(self, *, wait: bool = True) -> None:
        """Start the server, as what its data folder makes it: a primary or a standby."""
        if self.running:
            raise ServerError(f"{self.name} is running already")
        self._write_settings()
        command = [self._program("postgres"), "-D", str(self.data), "-p", str(self.port)]
        self._process = self._cluster.account.spawn(command, self.log)
        self._cluster.guard.watch_server(self._process.pid, self.data)
        self.frozen = False
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Wait until the server takes connections. Raises `ServerError` with the end of its log."""

        def ready() -> bool:
            if not self.running:
                raise ServerError(f"{self.name} ended while it was starting:\n{self._end_of_log()}")
            try:
                lines = (self.data / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                return False
            # the file of a killed server survives and says "ready": the process id tells
            return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() in {"ready", "standby"}

        self._wait_for(ready, timeout, "is not ready")

    def stop(self, mode: StopMode = "fast", timeout: float = 20.0) -> None:
        """Shut down: "smart" waits for clients, "fast" throws them out, "immediate" crashes in an orderly way."""
        if not self.running or self._process is None:
            return
        if self.frozen:
            self.kill9()
            return
        self._process.send_signal(_STOP_SIGNALS[mode])
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise ServerError(f"{self.name} did not stop within {timeout} s and was killed:\n{self._end_of_log()}") from None
        self._cluster.guard.forget_server(self._process.pid)

    def kill9(self) -> None:
        """Kill the server and its children at once: what clients see of a crashed process."""
        if self._process is None:
            return
        if self._process.poll() is None:
            processes.kill_tree(self._process.pid)
            self._process.wait()
        self.frozen = False
        processes.remove_shared_memory(self.data / "postmaster.pid")
        self._cluster.guard.forget_server(self._process.pid)

    def freeze(self) -> None:
        """Stop the server and its children in their tracks: what clients see of a hanging host."""
        processes.signal_tree(self.pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        """Undo `freeze`."""
        if self.running:
            processes.signal_tree(self.pid, signal.SIGCONT)
        self.frozen = False

    def promote(self, timeout: float = 20.0) -> None:
        """Make a standby a primary; the other standbys follow it by themselves. Returns when it takes writes."""
        if not self.is_standby:
            raise ServerError(f"{self.name} is not a standby")
        trigger = self.data / "promote"
        trigger.touch()
        self._cluster.account.own(trigger)
        processes.signal_one(self.pid, signal.SIGUSR1)
        self._wait_for(lambda: not self.is_standby, timeout, "was not promoted")
        self.promotions = self._cluster.next_promotion()
        self._wait_for(lambda: self.value("select pg_is_in_recovery()") == "f", timeout, "was not promoted")

    def wait_replayed(self, position: str, timeout: float = 10.0) -> None:
        """Wait until this standby has replayed the log up to that position."""
        self._wait_for(lambda: self.value(f"select pg_last_wal_replay_lsn() >= '{position}'") == "t", timeout, "lags behind")

    def rejoin(self, source: PostgresNode) -> None:
        """Make this node a standby anew, cloned from `source`; its own data is dropped."""
        self.stop("immediate")
        shutil.rmtree(self.data, ignore_errors=True)
        options = ["-X", "stream", "-c", "fast", "--no-sync"]
        command = [self._program("pg_basebackup"), "-D", str(self.data), *source._target(), *options]
        self._cluster.account.run(command, env=self._secret())
        signal_file = self.data / "standby.signal"
        signal_file.touch()
        self._cluster.account.own(signal_file)
        self.promotions = 0
        self.start()

    def set(self, **settings: object) -> None:
        """Change settings and reload; what needs a restart holds after `stop` and `start`. `heal` undoes it."""
        self._settings |= settings
        self._write_settings()
        if self.running:
            self.reload()

    def forget_settings(self) -> None:
        """Undo every `set`, at the next start."""
        self._settings.clear()

    def reload(self) -> None:
        """Make the server read its configuration again."""
        processes.signal_one(self.pid, signal.SIGHUP)

    def _program(self, name: str) -> str:
        return str(self._cluster.programs / name)

    def _target(self, database: str | None = None) -> list[str]:
        return ["-h", self.host, "-p", str(self.port), "-U", "postgres", *(["-d", database] if database else [])]

    def _secret(self) -> dict[str, str]:
        return {"PGPASSWORD": self._cluster.password} if self._cluster.password else {}

    def _write_settings(self) -> None:
        settings = {"primary_conninfo": self._cluster.upstreams_of(self)} | self._settings
        file = self.data / "postgresql.auto.conf"
        file.write_text("".join(f"{name} = {quoted(value)}\n" for name, value in settings.items()))
        self._cluster.account.own(file)

    def _wait_for(self, condition: Callable[[], bool], timeout: float, complaint: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise ServerError(f"{self.name} {complaint} after {timeout} s:\n{self._end_of_log()}")
            time.sleep(0.005)

    def _end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else "(no log)"
