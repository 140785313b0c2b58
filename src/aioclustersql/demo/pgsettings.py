"""What goes into the servers' configuration: settings that make them quick, ports, TLS files."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .binaries import Account, ServerError

__all__ = ["SETTINGS", "ServerTls", "choose_ports", "quoted"]

_PORTS = range(15400, 20000)
"""Below 32768, where Linux takes the ports of outgoing connections from: else a client could sit on a stopped node's port."""

SETTINGS: Mapping[str, object] = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "16MB",
    "max_connections": 100,
    "max_wal_senders": 10,
    "wal_keep_size": "64MB",
    "max_wal_size": "256MB",
    "hot_standby": "on",
    "autovacuum": "off",
    # the data may be lost; synchronous_commit stays on, else standbys see commits late
    "fsync": "off",
    "full_page_writes": "off",
    "wal_receiver_status_interval": "1s",
    # the default of 5 s is what following a promoted standby would take
    "wal_retrieve_retry_interval": "100ms",
    # in the data folder and not in /dev/shm, where a killed server would leave its files
    "dynamic_shared_memory_type": "mmap",
    "log_line_prefix": "%m [%p] %u@%d ",
}


def quoted(value: object) -> str:
    """A value as postgresql.conf and primary_conninfo take it."""
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The servers' certificate and key (PEM files); with `ca`, clients may show certificates signed by it."""

    certificate: Path
    key: Path
    ca: Path | None = None

    def install(self, data: Path, account: Account) -> dict[str, object]:
        """Copy the files into a data folder and return the settings that name them."""
        settings: dict[str, object] = {"ssl": "on"}
        for name, source in {"ssl_cert_file": self.certificate, "ssl_key_file": self.key, "ssl_ca_file": self.ca}.items():
            if source is not None:
                target = data / f"{name}.pem"
                target.touch(mode=0o600)
                target.write_bytes(source.read_bytes())
                account.own(target)
                settings[name] = target.name
        return settings


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def choose_ports(count: int, wanted: Sequence[int] | None = None) -> list[int]:
    """`wanted` if they are free, else some that are. Raises `ServerError` that names the taken ones."""
    if wanted is None:
        free = (port for port in random.sample(_PORTS, len(_PORTS)) if _is_free(port))
        return sorted(port for port, _ in zip(free, range(count), strict=False))
    if len(set(wanted)) != count:
        raise ValueError(f"{count} nodes need {count} different ports, not {list(wanted)}")
    if taken := [str(port) for port in wanted if not _is_free(port)]:
        raise ServerError(f"port {', '.join(taken)} of 127.0.0.1 is in use: stop what listens there, or leave `ports` out")
    return list(wanted)
