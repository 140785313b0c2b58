"""The aiomysql driver, and in part asyncmy, on real servers: a Galera cluster, and one plain MariaDB that speaks TLS."""

# mypy: disable-error-code="no-untyped-call"
# (aiomysql comes without types)

import asyncio
import contextlib
import gc
import socket
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiomysql
import asyncmy.errors
import pymysql
import pytest
from pymysql.constants import CLIENT

from aioclustersql.drivers.aiomysql import AiomysqlDriver
from aioclustersql.drivers.asyncmy import AsyncmyDriver
from aioclustersql.drivers.base import Endpoint
from aioclustersql.drivers.mysql import driver as module
from aioclustersql.errors import NodeNotFit
from aioclustersql.failure import FailureKind
from aioclustersql.node import Role, Target
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.fixtures_galera import MakeProxy
from tests.servers.galera import GaleraCluster
from tests.servers.galera_install import STATEMENTS, give_to_server, install_database
from tests.servers.galera_node import GaleraNode
from tests.servers.proxy import Proxy
from tests.servers.workspace import workspace

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_leaked_sockets")]

DRIVER = AiomysqlDriver()
BOTH = pytest.mark.parametrize("driver", [DRIVER, AsyncmyDriver()], ids=lambda driver: driver.name)
"""What is the package's own part in a login, asyncmy's as well; what both keep is in test_driver_suite."""


class PlainServer(GaleraNode):
    """A MariaDB without wsrep, on 127.0.0.1 and 127.0.0.2, with a certificate for the first of them."""

    def __init__(self, port: int) -> None:
        folder = workspace().folder / f"plain-{port}"
        folder.mkdir()
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
        with pymysql.connect(unix_socket=str(self.socket_path), user="root") as conn, conn.cursor() as cursor:
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


@contextlib.asynccontextmanager
async def opened(dsn: str, *, ready: bool = True, driver: Any = DRIVER, **options) -> AsyncIterator[Any]:
    """A connection as the cluster hands it out; not `ready`: before it was validated."""
    endpoint = driver.parse(dsn, options)
    password = endpoint.password
    assert password is None or isinstance(password, str)
    conn = await driver.connect(endpoint, password)
    try:
        if ready:
            await driver.validate(conn, Target.ANY)
        yield conn
    finally:
        await driver.close(conn)


async def settled(link: Proxy) -> None:
    """Wait until the proxy has noticed the end of its connections."""
    async with asyncio.timeout(5):
        while any(task.get_name() == f"proxy {link.port}" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)


async def one(conn: Any, sql: str):
    async with conn.cursor() as cursor:
        await cursor.execute(sql)
        return (await cursor.fetchone())[0]


async def failure(dsn: str, *, driver: Any = DRIVER, **options) -> tuple[BaseException, FailureKind]:
    with pytest.raises((aiomysql.Error, asyncmy.errors.Error, OSError)) as caught:
        async with opened(dsn, driver=driver, **options):
            pass
    return caught.value, driver.classify(caught.value)


# Login, validation, farewell


@BOTH
@pytest.mark.every_loop
@pytest.mark.parametrize("target", [target for target in Target if target is not Target.STANDBY])
async def test_the_server_counts_nothing_aborted(driver: Any, galera: GaleraCluster, target: Target):
    node = galera.nodes[0]
    before = node.status("Aborted_clients", "Aborted_connects")
    for _ in range(5):
        async with opened(node.dsn("app"), driver=driver) as conn:
            await driver.validate(conn, target)
            assert not driver.is_closed(conn)
        assert driver.is_closed(conn)
        await driver.close(conn)
    assert node.status("Aborted_clients", "Aborted_connects") == before


@pytest.mark.parametrize("target", [target for target in Target if target is not Target.STANDBY])
async def test_validation_leaves_the_session_as_it_was(galera: GaleraCluster, target: Target):
    node = galera.nodes[0]
    async with opened(node.dsn("app")) as conn:
        await DRIVER.validate(conn, target)
        assert await conn.show_warnings() == ()
        assert not conn.get_transaction_status()
        assert not conn.get_autocommit()
        assert await one(conn, "SELECT @@in_transaction") == 0
        assert node.sql(f"SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id={conn.thread_id()}") == (
            (0,),
        )


async def test_a_galera_node_is_a_peer_and_no_standby(galera: GaleraCluster):
    async with opened(galera.nodes[0].dsn("plain")) as conn:
        assert await DRIVER.validate(conn, Target.ANY) is Role.UNKNOWN
        assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.PRIMARY
        assert await DRIVER.validate(conn, Target.PREFER_STANDBY) is Role.PEER
        assert await DRIVER.validate(conn, Target.READ_ONLY) is Role.PEER
        with pytest.raises(NodeNotFit, match="prefer-standby"):
            await DRIVER.validate(conn, Target.STANDBY)


@pytest.mark.parametrize("user", ["root", "plain"])
async def test_read_only_is_seen_on_galera_whoever_asks(galera: GaleraCluster, user: str):
    galera.nodes[0].sql("SET GLOBAL read_only=1")
    async with opened(galera.nodes[0].dsn(user)) as conn:
        assert await DRIVER.validate(conn, Target.ANY) is Role.UNKNOWN
        assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.READ_ONLY
        assert await DRIVER.validate(conn, Target.PRIMARY) is Role.READ_ONLY
        assert await DRIVER.validate(conn, Target.PREFER_STANDBY) is Role.READ_ONLY
        assert await DRIVER.validate(conn, Target.READ_ONLY) is Role.READ_ONLY


async def test_a_plain_server_is_primary_or_standby(plain: PlainServer):
    async with opened(plain.dsn("plain"), use_unicode=False) as conn:
        roles = [await DRIVER.validate(conn, target) for target in Target]
        assert roles == [Role.UNKNOWN, *[Role.PRIMARY] * 5]
        plain.sql("SET GLOBAL read_only=1")
        roles = [await DRIVER.validate(conn, target) for target in Target]
        assert roles == [Role.UNKNOWN, *[Role.STANDBY] * 5]


@pytest.mark.parametrize("use_unicode", [True, False])
async def test_a_server_that_knows_no_wsrep_tells_its_role(plain: PlainServer, use_unicode: bool):
    async with opened(plain.dsn("plain"), use_unicode=use_unicode) as conn:
        conn.server_version = "8.4.3"
        assert await DRIVER.validate(conn, Target.STANDBY) is Role.PRIMARY
        plain.sql("SET GLOBAL read_only=1")
        assert await DRIVER.validate(conn, Target.STANDBY) is Role.STANDBY
        assert await conn.show_warnings() == ()
        assert not conn.get_transaction_status()


async def test_a_galera_node_is_one_whoever_built_it(galera: GaleraCluster):
    async with opened(galera.nodes[0].dsn("plain")) as conn:
        conn.server_version = "8.0.39-30.1"
        assert await DRIVER.validate(conn, Target.READ_ONLY) is Role.PEER


async def test_a_mariadb_built_without_wsrep_tells_its_role(plain: PlainServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_ROLE", "SELECT @@global.read_only, @@global.no_such_variable")
    async with opened(plain.dsn("plain")) as conn:
        assert await DRIVER.validate(conn, Target.STANDBY) is Role.PRIMARY


async def test_a_server_that_raises_where_mariadb_warns_tells_its_role(plain: PlainServer, monkeypatch: pytest.MonkeyPatch):
    # the way MySQL's DO answers a read_only server
    monkeypatch.setattr(module, "_WRITABLE", "SIGNAL SQLSTATE '22003' SET MYSQL_ERRNO = 1690")
    plain.sql("SET GLOBAL read_only=1")
    async with opened(plain.dsn("plain")) as conn:
        assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.STANDBY


async def test_validation_sets_the_autocommit_mode(plain: PlainServer):
    for wanted in (False, True):
        async with opened(plain.dsn("plain"), ready=False, autocommit=wanted) as conn:
            assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.PRIMARY
            assert conn.get_autocommit() is wanted
            assert await one(conn, "SELECT @@autocommit") == wanted


async def test_a_server_that_takes_one_statement_at_a_time_is_validated_in_two(
    plain: PlainServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(CLIENT, "MULTI_STATEMENTS", 0)
    async with opened(plain.dsn("plain"), ready=False) as conn:
        assert await DRIVER.validate(conn, Target.READ_WRITE) is Role.PRIMARY
        assert not conn.get_autocommit()
        assert await one(conn, "SELECT @@autocommit") == 0


@BOTH
@pytest.mark.parametrize("ill", ["isolated", "rejecting"])
async def test_a_galera_node_that_serves_nothing_fails_validation(driver: Any, galera: GaleraCluster, ill: str):
    node = galera.nodes[2]
    if ill == "rejecting":
        node.sql("SET GLOBAL wsrep_reject_queries=ALL")
    else:
        await asyncio.to_thread(node.isolate)
    async with opened(node.dsn("app"), ready=False, driver=driver) as conn:
        for read_only in (0, 1):
            node.sql(f"SET GLOBAL read_only={read_only}")
            for target in Target:
                with pytest.raises((aiomysql.Error, asyncmy.errors.Error)) as caught:
                    await driver.validate(conn, target)
                assert driver.classify(caught.value) is FailureKind.NOT_READY


@BOTH
@pytest.mark.parametrize("password", ["pä", "pä€", "密码"])
async def test_passwords_are_sent_in_utf8(driver: Any, plain: PlainServer, password: str):
    plain.sql(f"CREATE OR REPLACE USER unicode@'%' IDENTIFIED BY '{password}'")
    async with opened(f"mysql://unicode@127.0.0.1:{plain.port}", password=password, driver=driver) as conn:
        assert await one(conn, "SELECT 1") == 1


@BOTH
@pytest.mark.parametrize("form", ["mysql://root@localhost/test?unix_socket={}", "mysql://root@{}/test"])
async def test_unix_sockets(driver: Any, plain: PlainServer, form: str):
    path = str(plain.socket_path)
    dsn = form.format(path if "?" in form else path.replace("/", "%2F"))
    async with opened(dsn, sslmode="verify-full", driver=driver) as conn:
        assert "UNIX" in conn.host_info


@BOTH
async def test_a_default_file_fills_in_and_moves_no_node(driver: Any, plain: PlainServer, tmp_path: Path):
    (tmp_path / "my.cnf").write_text("[client]\nuser=app\npassword=pw\nhost=127.0.0.9\nport=1\nsocket=/nowhere\n")
    async with opened(f"mysql://127.0.0.1:{plain.port}", read_default_file=str(tmp_path / "my.cnf"), driver=driver) as conn:
        assert str(await one(conn, "SELECT CURRENT_USER()")).startswith("app@")


# Ends


async def cancel_a_login_after_every_step(endpoint: Endpoint, driver: Any = DRIVER) -> None:
    """Cancel later and later, until a login is quicker than its cancel, and see that nobody warns."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        finished = 0
        for steps in range(2000):
            task = asyncio.create_task(driver.connect(endpoint, "pw"))
            for step in range(steps):
                await asyncio.sleep(0.0001 * (step % 3))
            task.cancel()
            try:
                conn = await task
            except asyncio.CancelledError:
                continue
            await driver.close(conn)
            finished += 1
            if finished == 5:
                break
        gc.collect()
    assert not [str(each.message) for each in seen]
    assert finished == 5


@BOTH
async def test_a_cancelled_login_with_tls_leaves_nothing_at_any_step(driver: Any, plain: PlainServer):
    # Not on uvloop, which itself reports an error when a handshake is cancelled while bytes arrive.
    await cancel_a_login_after_every_step(driver.parse(plain.dsn("app"), {"sslmode": "require"}), driver)


@pytest.mark.parametrize("tls", [False, True])
async def test_terminate_in_the_middle_of_a_result_tells_the_reader(plain: PlainServer, tls: bool):
    options: dict[str, Any] = {"sslmode": "require"} if tls else {}
    async with opened(plain.dsn("app"), **options) as conn:
        reading = asyncio.create_task(conn.query("SELECT seq, REPEAT('x', 1000) FROM test.seq_1_to_1000000"))
        await asyncio.sleep(0.2)
        assert not reading.done()
        DRIVER.terminate(conn)
        with pytest.raises(aiomysql.OperationalError) as caught:
            await reading
        assert DRIVER.classify(caught.value) is FailureKind.SESSION_LOST


@pytest.mark.every_loop
async def test_a_killed_session_is_seen_as_closed_and_lost(galera: GaleraCluster):
    node = galera.nodes[0]
    async with opened(node.dsn("app")) as conn:
        node.sql(f"KILL CONNECTION {conn.thread_id()}")
        async with asyncio.timeout(2):
            while not DRIVER.is_closed(conn):
                await asyncio.sleep(0.01)
        with pytest.raises((aiomysql.Error, OSError, RuntimeError)) as caught:
            await conn.query("SELECT 1")
        assert DRIVER.classify(caught.value) in (FailureKind.SESSION_LOST, FailureKind.FOUND_CLOSED)


async def test_close_ends_on_a_frozen_server_too(galera: GaleraCluster):
    node = galera.nodes[0]
    conn = await DRIVER.connect(DRIVER.parse(node.dsn("app"), {}), "pw")
    node.freeze()
    async with asyncio.timeout(1):
        await DRIVER.close(conn)
    assert DRIVER.is_closed(conn)


@BOTH
@pytest.mark.every_loop
@pytest.mark.parametrize("tls", [False, True])
async def test_a_close_that_is_given_up_leaves_no_socket(driver: Any, plain: PlainServer, proxy: MakeProxy, tls: bool):
    link = await proxy(plain)
    endpoint = driver.parse(f"mysql://app@127.0.0.1:{link.port}", {"sslmode": "require"} if tls else {})
    conn = await driver.connect(endpoint, "pw")
    await link.set_mode("hang")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):  # over TLS the server's farewell is waited for
            await driver.close(conn)
    assert driver.is_closed(conn)
    async with asyncio.timeout(1):
        while link.open_connections:
            await asyncio.sleep(0.01)


@BOTH
@pytest.mark.every_loop
@pytest.mark.parametrize("tls", [False, True])
async def test_a_cancelled_validation_leaves_no_socket(driver: Any, plain: PlainServer, proxy: MakeProxy, tls: bool):
    link = await proxy(plain)
    endpoint = driver.parse(f"mysql://app@127.0.0.1:{link.port}", {"sslmode": "require"} if tls else {})
    conn = await driver.connect(endpoint, "pw")
    await link.set_mode("hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await driver.validate(conn, Target.READ_WRITE)
    assert driver.is_closed(conn)
    async with asyncio.timeout(1):
        while link.open_connections:
            await asyncio.sleep(0.01)


@pytest.mark.every_loop
async def test_closing_what_the_server_has_cut_off_is_fine(galera: GaleraCluster, proxy: MakeProxy):
    link = await proxy(galera.nodes[0])
    conn = await DRIVER.connect(DRIVER.parse(f"mysql://app@127.0.0.1:{link.port}", {}), "pw")
    link.drop()
    await DRIVER.close(conn)
    assert DRIVER.is_closed(conn)
    await settled(link)


# TLS


async def cipher(conn: Any) -> str:
    async with conn.cursor() as cursor:
        await cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        return str((await cursor.fetchone())[1])


@BOTH
@pytest.mark.every_loop
@pytest.mark.parametrize("mode", ["prefer", "allow", "require", "verify-ca", "verify-full"])
async def test_tls_where_the_server_offers_it(driver: Any, plain: PlainServer, mode: str):
    async with opened(plain.dsn("app") + f"?sslmode={mode}&sslrootcert={plain.files.ca}", driver=driver) as conn:
        assert await cipher(conn)
        assert await driver.validate(conn, Target.READ_WRITE) is Role.PRIMARY
    assert driver.is_closed(conn)


@pytest.mark.parametrize("options", ["", "?sslmode=disable", "?ssl_mode=DISABLED"])
async def test_without_a_word_about_tls_there_is_none(plain: PlainServer, options: str):
    async with opened(plain.dsn("app") + options) as conn:
        assert not await cipher(conn)


@BOTH
async def test_tls_counts_nothing_aborted(driver: Any, plain: PlainServer):
    before = plain.status("Aborted_clients", "Aborted_connects")
    for _ in range(5):
        async with opened(plain.dsn("app"), sslmode="require", driver=driver) as conn:
            await driver.validate(conn, Target.READ_WRITE)
    await asyncio.sleep(0.1)
    assert plain.status("Aborted_clients", "Aborted_connects") == before


@BOTH
async def test_verify_full_checks_the_host_and_verify_ca_does_not(driver: Any, plain: PlainServer):
    dsn = plain.dsn("app").replace("127.0.0.1", "127.0.0.2")
    async with opened(dsn, sslmode="verify-ca", sslrootcert=str(plain.files.ca), driver=driver) as conn:
        assert await cipher(conn)
    _, kind = await failure(dsn, sslmode="verify-full", sslrootcert=str(plain.files.ca), driver=driver)
    assert kind is FailureKind.CONFIGURATION


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_a_certificate_of_a_stranger_is_refused(plain: PlainServer, tmp_path: Path, mode: str):
    stranger = make_certificates(tmp_path)
    _, kind = await failure(plain.dsn("app"), sslmode=mode, sslrootcert=str(stranger.ca))
    assert kind is FailureKind.CONFIGURATION


@BOTH
async def test_prefer_falls_back_where_the_server_has_no_tls(driver: Any, galera: GaleraCluster):
    node = galera.nodes[0]
    before = node.status("Aborted_clients", "Aborted_connects")
    for mode in ("prefer", "allow"):
        async with opened(node.dsn("app"), sslmode=mode, driver=driver) as conn:
            assert not await cipher(conn)
    assert node.status("Aborted_clients", "Aborted_connects") == before


@BOTH
@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_nothing_is_sent_to_a_server_that_cannot_keep_it_secret(
    driver: Any, galera: GaleraCluster, proxy: MakeProxy, mode: str
):
    link = await proxy(galera.nodes[0])
    exc, kind = await failure(f"mysql://app:pw@127.0.0.1:{link.port}/test", sslmode=mode, driver=driver)
    assert exc.args[0] == 2026
    assert kind is FailureKind.CONFIGURATION
    assert link.bytes_sent == 0


async def test_a_reconnecting_ping_asks_for_tls_again(galera: GaleraCluster, plain: PlainServer, proxy: MakeProxy):
    link = await proxy(plain)
    async with opened(f"mysql://app:pw@127.0.0.1:{link.port}/test", sslmode="require") as conn:
        conn.close()
        link.upstream = (galera.nodes[0].host, galera.nodes[0].port)
        with pytest.raises(aiomysql.OperationalError, match="TLS is required"):
            await conn.ping()


# What failures mean


@pytest.mark.parametrize(
    ("part", "code", "kind"),
    [
        ("app:wrong@127.0.0.1:{}/test", 1045, FailureKind.CONFIGURATION),
        ("plain:pw@127.0.0.1:{}/mysql", 1044, FailureKind.CONFIGURATION),
        ("root@127.0.0.1:{}/no_such_database", 1049, FailureKind.CONFIGURATION),
        ("app:pw@no-such-host.invalid:{}/test", 2003, FailureKind.CONFIGURATION),
        ("app:pw@127.0.0.1:1/test", 2003, FailureKind.UNREACHABLE),
        ("app:pw@localhost:1/test", 2003, FailureKind.UNREACHABLE),
        ("app:pw@[::1]:1/test", 2003, FailureKind.UNREACHABLE),
        ("app:pw@%2Fno%2Fsuch%2Fsocket/test", 2003, FailureKind.UNREACHABLE),
    ],
)
async def test_logins_that_fail(galera: GaleraCluster, part: str, code: int, kind: FailureKind):
    exc, seen = await failure("mysql://" + part.format(galera.nodes[0].port))
    assert (exc.args[0], seen) == (code, kind)


async def test_login_through_a_broken_network(galera: GaleraCluster, proxy: MakeProxy):
    link = await proxy(galera.nodes[0], mode="reset")
    dsn = f"mysql://app:pw@127.0.0.1:{link.port}/test"
    assert (await failure(dsn))[1] is FailureKind.SESSION_LOST
    await link.set_mode("backlog")
    assert (await failure(dsn, connect_timeout=0.2))[1] is FailureKind.TIMEOUT


async def test_a_full_server_is_overloaded(galera: GaleraCluster):
    node = galera.nodes[0]
    node.sql("SET GLOBAL max_connections=10")
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(aiomysql.OperationalError) as caught:
            for _ in range(15):
                await stack.enter_async_context(opened(node.dsn("plain")))
    assert DRIVER.classify(caught.value) is FailureKind.OVERLOADED


async def test_a_blocked_host_is_told_what_to_do(galera: GaleraCluster, proxy: MakeProxy):
    node = galera.nodes[0]
    node.sql("SET GLOBAL max_connect_errors=2")
    link = await proxy(node)
    dsn = f"mysql://app:pw@127.0.0.1:{link.port}/test"
    for _ in range(4):
        _, writer = await asyncio.open_connection(node.host, node.port, local_addr=(link.source, 0))
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
    try:
        exc, kind = await failure(dsn)
        assert kind is FailureKind.HOST_BLOCKED
        assert "FLUSH HOSTS" in "\n".join(exc.__notes__)
    finally:
        node.sql("FLUSH HOSTS")
        await settled(link)


async def test_errors_of_statements(galera: GaleraCluster):
    node = galera.nodes[0]
    node.sql("CREATE OR REPLACE TABLE test.meaning (id INT PRIMARY KEY)")
    node.sql("INSERT INTO test.meaning VALUES (1)")

    async def meaning(conn: aiomysql.Connection, sql: str) -> FailureKind:
        with pytest.raises(aiomysql.Error) as caught:
            await conn.query(sql)
        return DRIVER.classify(caught.value)

    async with opened(node.dsn("plain")) as first, opened(node.dsn("plain")) as second:
        assert await meaning(first, "SELECT * FROM no_such_table") is FailureKind.OTHER
        assert await meaning(first, "INSERT INTO meaning VALUES (1)") is FailureKind.OTHER
        await first.query("SELECT * FROM meaning WHERE id=1 FOR UPDATE")
        await second.query("SET innodb_lock_wait_timeout=1")
        assert await meaning(second, "UPDATE meaning SET id=1 WHERE id=1") is FailureKind.LOCK_TIMEOUT
        assert (
            await meaning(second, "SET STATEMENT max_statement_time=0.05 FOR SELECT SLEEP(1) FROM meaning")
            is FailureKind.INTERRUPTED
        )
        await first.rollback()
        await second.rollback()
        await first.query("SET TRANSACTION READ ONLY")
        await first.begin()
        assert await meaning(first, "INSERT INTO meaning VALUES (2)") is FailureKind.ROLE_CHANGED
        await first.rollback()
        node.sql("SET GLOBAL read_only=1")
        assert await meaning(first, "INSERT INTO meaning VALUES (2)") is FailureKind.ROLE_CHANGED


async def test_a_certification_conflict_rolled_the_loser_back(galera: GaleraCluster):
    first, second = galera.nodes[:2]
    first.sql("CREATE OR REPLACE TABLE test.conflict (id INT PRIMARY KEY, v INT)")
    first.sql("INSERT INTO test.conflict VALUES (1, 0)")
    second.causal_read()
    async with opened(first.dsn("app")) as one_side, opened(second.dsn("app")) as other_side:
        await one_side.query("UPDATE conflict SET v=1 WHERE id=1")
        await other_side.query("UPDATE conflict SET v=2 WHERE id=1")
        await one_side.commit()
        with pytest.raises(aiomysql.Error) as caught:
            await other_side.commit()
        assert DRIVER.classify(caught.value) is FailureKind.ROLLED_BACK
