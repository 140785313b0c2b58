"""One MariaDB without Galera, for a module of tests at a time."""

import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from tests.servers.certificates import Certificates, make_certificates
from tests.servers.galera_install import STATEMENTS, give_to_server, install_database
from tests.servers.galera_node import GaleraNode
from tests.servers.workspace import workspace


class PlainServer(GaleraNode):
    """A MariaDB without wsrep, on 127.0.0.1 and 127.0.0.2, with a certificate for the first of them."""

    def __init__(self, port: int) -> None:
        folder = Path(tempfile.mkdtemp(prefix=f"plain-{port}-", dir=workspace().folder))
        give_to_server(folder)
        self.files: Certificates = make_certificates(folder / "tls")
        give_to_server(self.files.key)
        tls = {"ca": self.files.ca, "cert": self.files.cert, "key": self.files.key}
        options = ["--wsrep-on=OFF", "--wsrep-provider=none", "--skip-name-resolve", "--bind-address=127.0.0.1,127.0.0.2"]
        options += [f"--ssl-{kind}={path}" for kind, path in tls.items()]
        super().__init__(port, [port], folder, options, {})

    @property
    def socket_path(self) -> Path:
        return self.data / "socket"

    def start(self) -> None:
        install_database(self.data)
        self.launch()
        deadline = time.monotonic() + 30
        while not self._listens():
            assert self.is_alive, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        # The fresh database knows root on the socket only.
        with pymysql.connect(unix_socket=str(self.socket_path), user="root") as conn, conn.cursor() as cursor:  # type: ignore[no-untyped-call]
            for statement in STATEMENTS:
                cursor.execute(statement)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket_path)) == 0


@pytest.fixture(scope="module")
def mariadb() -> Iterator[PlainServer]:
    server = PlainServer(3321)
    try:
        server.start()
        yield server
    finally:
        server.kill9()


@pytest.fixture
def plain(mariadb: PlainServer) -> Iterator[PlainServer]:
    yield mariadb
    mariadb.sql("SET GLOBAL read_only=0")
